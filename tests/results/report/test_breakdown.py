import pytest

from budgets.price import price
from budgets.units import Size
from lightir_core.published.presets import preset
from results.report.breakdown import by_kind, by_part


@pytest.mark.parametrize("name", ["grformer", "drt", "edsr-acla"])
def test_the_parts_add_up_to_the_network(name):
    architecture, size = preset(name), Size(64, 64)
    rows = by_part(architecture, size)
    assert len(rows) == 1 + len(architecture.stages)
    total = price(architecture, size)
    assert sum(int(row.params.replace(",", "")) for row in rows) == total.params
    for column in ("params_share", "macs_share"):
        shares = [float(getattr(row, column).removesuffix(" %")) for row in rows]
        assert sum(shares) == pytest.approx(100, abs=0.05 * len(rows))


def test_stages_that_share_weights_cost_parameters_once():
    rows = by_part(preset("drt"), Size(64, 64))
    assert rows[1].macs == rows[2].macs


def test_kinds_of_work_add_up():
    rows = by_kind(preset("swinir-light"), Size(64, 64))
    assert [row.kind for row in rows] == [
        "projections", "attention", "feed-forward", "convolutions",
    ]  # fmt: skip
    assert sum(float(row.share.removesuffix(" %")) for row in rows) == pytest.approx(100, abs=0.2)
