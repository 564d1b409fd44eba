import json

import pytest

from budgets.budget import Size
from budgets.price import price
from lightir_core.published.presets import preset
from results.report.members import FILE, Breakdowns, count, kind_rows, part_rows

SMALL = Size(64, 64)


@pytest.mark.parametrize("name", ["grformer", "drt", "edsr-acla"])
def test_the_parts_add_up_to_the_network(name):
    architecture = preset(name)
    found = count(architecture, SMALL)
    assert len(found.parts) == 1 + len(architecture.stages)
    total = price(architecture, SMALL)
    assert sum(params for _, params, _ in found.parts) == total.params
    for column in (2, 4):
        shares = [float(row[column].removesuffix(" %")) for row in part_rows(found)]
        assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))


def test_stages_that_share_weights_cost_parameters_once():
    rows = part_rows(count(preset("drt"), SMALL))
    assert rows[1][3] == rows[2][3]


def test_kinds_of_work_add_up():
    rows = kind_rows(count(preset("swinir-light"), SMALL))
    assert [row[0] for row in rows] == ["projections", "attention", "feed-forward", "convolutions"]
    assert sum(float(row[2].removesuffix(" %")) for row in rows) == pytest.approx(100, abs=0.2)


def test_what_was_counted_once_is_read_back_and_damage_is_counted_again(tmp_path, architecture):
    first = Breakdowns(tmp_path)
    found = first.of(architecture, SMALL)
    first.save()
    plain = json.loads((tmp_path / FILE).read_text())
    key = f"{architecture.id} {SMALL}"
    plain["networks"][key]["parts"][0][1] = 1
    (tmp_path / FILE).write_text(json.dumps(plain))
    assert Breakdowns(tmp_path).of(architecture, SMALL).parts[0][1] == 1
    for damaged in ("{", json.dumps({**plain, "version": 2}), json.dumps({**plain, "networks": 3})):
        (tmp_path / FILE).write_text(damaged)
        assert Breakdowns(tmp_path).of(architecture, SMALL) == found
