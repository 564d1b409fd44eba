"""Kendall's tau and its bootstrap interval."""

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from search.bench.inherited.agreement import agreement


def test_equal_orders_agree_and_reversed_ones_do_not():
    scores = [float(n) for n in range(12)]
    same = agreement(scores, [2 * s + 1 for s in scores], 0)
    assert same.number == 12
    assert (same.tau, same.low, same.high) == pytest.approx((1, 1, 1))
    assert agreement(scores, scores[::-1], 0).tau == pytest.approx(-1)


def test_scipy_agrees_with_ties_and_without():
    rng = np.random.default_rng(1)
    for levels in (3, 1000):
        x, y = rng.integers(levels, size=(2, 20))
        assert agreement(list(x), list(y), 0).tau == pytest.approx(kendalltau(x, y).statistic)


def test_by_hand():
    # pairs of 1 2 3 4 against 1 3 2 4: five in the same order, one not
    assert agreement([1, 2, 3, 4], [1, 3, 2, 4], 0).tau == pytest.approx(4 / 6)


def test_the_interval_holds_the_truth_of_most_samples():
    rng = np.random.default_rng(0)
    # of a bivariate normal with correlation r, tau is 2 / π · asin(r)
    truth = 2 / math.pi * math.asin(0.6)
    held = 0
    for _ in range(8):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 30).T
        found = agreement(list(x), list(y), 0)
        assert found.low <= found.tau <= found.high
        held += found.low <= truth <= found.high
    assert held >= 6


def test_networks_without_a_score_are_left_out():
    found = agreement([1, math.nan, 2, 3], [1, 5, 2, math.inf], 0)
    assert found.number == 2
    assert math.isnan(found.tau)
    assert str(found) == "– (2)"


def test_scores_that_are_all_equal_rank_nothing():
    assert math.isnan(agreement([1, 1, 1, 1], [1, 2, 3, 4], 0).tau)


def test_in_words():
    assert str(agreement([1, 2, 3, 4], [4, 3, 2, 1], 0)) == "−1.00 (−1.00 to −1.00)"
