import pytest
import torch

from budgets.assess import read_budget, read_sizes, settings_on
from budgets.budget import Size, parse_share
from budgets.price import price
from lightir_core.data.tasks import parse_task
from lightir_core.errors import ArchitectureError, BudgetError
from lightir_core.published.presets import preset

SR = parse_task("sr-x2")
SETTINGS = settings_on(torch.device("cpu"), (Size(64, 64),))


def test_sizes_come_largest_first():
    assert read_sizes("64x64,128x32,320x180", SR) == (Size(180, 320), Size(32, 128), Size(64, 64))
    assert read_sizes(None, SR) == (Size(720, 1280),)
    assert read_sizes(None, parse_task("denoise")) == (Size(256, 256),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("64x64,64x64", "names one size twice"),
        ("64x64,", "not WIDTHxHEIGHT"),
        ("0x64", "sides go from 1"),
        ("-64x64", "not WIDTHxHEIGHT"),
        ("64", "not WIDTHxHEIGHT"),
        ("99999x64", "sides go from 1 to 65536"),
        ("99999999999999999999x64", "not WIDTHxHEIGHT"),
        ("64.5x64", "not WIDTHxHEIGHT"),
    ],
)
def test_sizes_that_are_none(text, reason):
    with pytest.raises(BudgetError, match=reason):
        read_sizes(text, SR)


def test_a_share_of_a_preset():
    cost = price(preset("grformer"), Size(64, 64))
    budget = read_budget("60%@grformer,macs=12.5%@grformer", "sr-x2", SETTINGS)
    assert dict(budget.limits) == {
        "params": cost.params * 60 // 100,
        "macs": cost.macs * 125 // 1000,
    }
    assert read_budget(budget.plain, "sr-x2", SETTINGS).limits == budget.limits


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("60%@grforme", ArchitectureError, "did you mean 'grformer'"),
        ("0%@grformer", BudgetError, "use a positive %"),
        ("60%", BudgetError, "60%"),
        ("macs=40ms", BudgetError, "unknown unit 'ms'"),
        ("memory=400k", BudgetError, "unknown unit 'k'"),
        ("latency=2GiB", BudgetError, "unknown unit 'GiB'"),
        ("latency=40", BudgetError, "has no unit"),
        ("params=-5", BudgetError, "not a positive number"),
        ("params=9e99", BudgetError, "larger than"),
    ],
)
def test_budgets_that_are_none(text, error, reason):
    with pytest.raises(error, match=reason):
        read_budget(text, "sr-x2", SETTINGS)


def test_shares():
    assert parse_share("5%") == parse_share("0.05") == 0.05
    assert parse_share("0") == 0
    for text in ("100%", "-1%", "5 percent", "", "1.5"):
        with pytest.raises(BudgetError, match=r"write 5% or 0\.05"):
            parse_share(text)
