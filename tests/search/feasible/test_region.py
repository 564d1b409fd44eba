"""What is counted and drawn is what going through every point finds."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from budgets.budget import Size
from budgets.price import price
from search.feasible import region as drawing
from search.feasible.profile import extremes
from tests.search.feasible.conftest import MIXED, SHAPE, SIZE


def fitting(everything, upper, lower=None):
    """The points between the limits, one by one."""
    highs = [upper.get(axis, 2**62) for axis in ("params", "macs")]
    lows = [(lower or {}).get(axis, 0) for axis in ("params", "macs")]
    return {
        point
        for point, cost in everything
        if all(low <= c <= high for low, c, high in zip(lows, cost, highs, strict=True))
    }


def quantile(everything, column, share):
    return sorted(cost[column] for _, cost in everything)[int(share * len(everything))]


@pytest.fixture(scope="session")
def limits(everything):
    """Some budgets by name."""
    params, macs = (quantile(everything, column, 0.3) for column in (0, 1))
    return {
        "params": {"params": params},
        "macs": {"macs": macs},
        "both": {"params": params, "macs": macs},
        "nothing": {},
    }


def test_parameters_are_counted_to_the_last_point(everything, region, limits):
    found = region(limits["params"]).count
    assert found.is_exact
    assert found.most == len(fitting(everything, limits["params"]))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_a_band_is_counted_too(everything, region, share):
    high = quantile(everything, 0, share)
    upper, lower = {"params": high}, {"params": 0.95 * high}
    assert region(upper, lower).count.most == len(fitting(everything, upper, lower))


@pytest.mark.parametrize("name", ["macs", "both", "nothing"])
def test_the_truth_lies_between_the_bounds(everything, region, limits, name):
    found = region(limits[name]).count
    truth = len(fitting(everything, limits[name]))
    assert found.least <= truth <= found.most
    assert found.most - found.least <= 0.25 * truth


def test_bounds_at_several_sizes_do_not_promise_too_much(everything, region, limits):
    tall = Size(160, 24)
    found = region(limits["macs"], sizes=(SIZE, tall)).count
    assert found.least == 0
    assert found.most >= region(limits["macs"], sizes=(SIZE, tall)).weight > 0


def test_bounds_at_several_sizes_hold_the_truth(everything, region, limits):
    tall = Size(160, 24)
    limit = limits["macs"]["macs"]
    truth = sum(
        all(price(MIXED.decode(dict(point), SHAPE), size).macs <= limit for size in (SIZE, tall))
        for point, _ in everything
    )
    assert 0 < truth <= region(limits["macs"], sizes=(SIZE, tall)).count.most


@pytest.mark.parametrize("name", ["macs", "both"])
def test_an_estimate_holds_the_truth_in_its_interval(everything, region, limits, name):
    found, error = region(limits[name]).estimate(20_000, np.random.default_rng(5))
    truth = len(fitting(everything, limits[name]))
    assert 0 < error < 0.02 * truth
    assert abs(found - truth) <= 1.5 * error  # 99.7 % of all seeds


def test_macs_on_a_line_are_counted_closely(everything, region, limits):
    limit = limits["macs"]["macs"]
    assert limit > 2**20
    truth = len(fitting(everything, limits["macs"]))
    found = region(limits["macs"]).count
    assert found.least <= truth <= found.most
    assert found.most == pytest.approx(truth, rel=0.02)


@pytest.mark.parametrize("name", ["params", "macs", "both", "nothing"])
def test_draws_are_uniform_over_what_fits_and_nothing_else(everything, region, limits, name):
    there = fitting(everything, limits[name])
    rng = np.random.default_rng(3)
    drawn = [d for d in region(limits[name]).draw(40 * len(there), rng) if d is not None]
    counts = Counter(frozenset(d.choices.items()) for d in drawn)
    assert set(counts) <= there
    assert len(drawn) > 20 * len(there)
    assert chisquare([counts[point] for point in there]).pvalue > 1e-3


def test_draws_in_a_band(everything, region):
    high = quantile(everything, 1, 0.4)
    upper, lower = {"macs": high}, {"macs": 0.9 * high}
    there = fitting(everything, upper, lower)
    number = 20 * len(there)
    drawn = [d for d in region(upper, lower).draw(number, np.random.default_rng(0)) if d]
    assert {frozenset(d.choices.items()) for d in drawn} == there


def test_a_drawn_cost_is_the_price(region, limits):
    for drawn in region(limits["both"]).draw(100, np.random.default_rng(1)):
        if drawn is not None:
            cost = price(MIXED.decode(drawn.choices, SHAPE), SIZE)
            assert drawn.cost == (cost.params, cost.macs)


def test_limits_hold_at_every_size(everything, limits, region):
    tall = Size(160, 24)  # fewer pixels, yet padded to more for windows of 16 side by side
    upper = limits["macs"]
    drawn = [d for d in region(upper, sizes=(SIZE, tall)).draw(500, np.random.default_rng(2)) if d]
    assert drawn
    for one in drawn:
        architecture = MIXED.decode(one.choices, SHAPE)
        assert all(price(architecture, size).macs <= upper["macs"] for size in (SIZE, tall))


def test_nothing_fits(region):
    nothing = region({"params": 10})
    assert nothing.count.most == 0
    assert nothing.weight == 0
    assert list(nothing.draw(10, np.random.default_rng(0))) == []


def test_equal_seeds_draw_equal_networks(region, limits):
    first, second = (
        list(region(limits["both"]).draw(50, np.random.default_rng(7))) for _ in range(2)
    )
    assert first == second


def test_long_draws_come_in_batches(region, limits, monkeypatch):
    monkeypatch.setattr(drawing, "BATCH", 16)
    drawn = list(region(limits["params"]).draw(40, np.random.default_rng(0)))
    assert len(drawn) == 40


def test_the_extremes_of_each_axis(everything, region, limits):
    low, high = extremes(region(limits["macs"]).costs)
    for column in (0, 1):
        costs = [cost[column] for _, cost in everything]
        assert (low[column], high[column]) == (min(costs), max(costs))
