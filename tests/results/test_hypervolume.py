import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightir_core.errors import ResultsError
from results.hypervolume import hypervolume, hypervolume_history, reference_point

coordinates = st.integers(0, 5).map(float)
clouds = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.tuples(*[coordinates] * size), min_size=1, max_size=7)
)


def by_inclusion_exclusion(points, reference):
    """The union of boxes by its textbook formula, exponential and independent of any sweep."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in combinations(points, size):
            corner = np.max(chosen, axis=0)
            total -= (-1) ** size * np.prod(np.maximum(0, np.asarray(reference) - corner))
    return total


@given(clouds, st.integers(3, 6))
def test_equals_inclusion_exclusion(points, edge):
    reference = (float(edge),) * len(points[0])
    assert hypervolume(points, reference) == by_inclusion_exclusion(points, reference)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_agrees_with_monte_carlo_on_a_large_front(size):
    generator = np.random.default_rng(size)
    points = generator.random((60, size))
    darts = generator.random((40_000, size))
    hit = np.zeros(len(darts), dtype=bool)
    for point in points:
        hit |= (point <= darts).all(axis=1)
    # Standard error at most 0.5 / √40000 = 0.0025.
    assert hypervolume(points.tolist(), (1.0,) * size) == pytest.approx(hit.mean(), abs=0.01)


def test_golden_values():
    assert hypervolume([(3.0,), (1.0,)], (5.0,)) == 4
    assert hypervolume([(1, 3), (2, 2), (3, 1)], (4, 4)) == 6  # stairs of 3 + 2 + 1 squares
    assert hypervolume([(0, 0, 0)], (1, 2, 3)) == 6
    assert hypervolume([(0, 0, 0, 1), (1, 1, 1, 0)], (2, 2, 2, 2)) == 8 + 1  # 2³·1 + 1³·1


def test_points_behind_the_reference_and_nan_add_nothing():
    assert hypervolume([(5, 0), (math.nan, 1)], (4, 4)) == 0
    assert hypervolume([], (4, 4)) == 0


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=12))
def test_history_never_falls_and_ends_at_the_whole(points):
    history = hypervolume_history(points, (6.0, 6.0))
    assert history == sorted(history)
    assert history[-1] == hypervolume(points, (6.0, 6.0))


def test_reference_lies_behind_every_point():
    points = [(0.0, 10.0), (2.0, 10.0), (math.nan, 99.0)]
    assert reference_point(points) == pytest.approx((2.2, 11.0))
    assert reference_point([(0.0,)]) == pytest.approx((0.1,))


def test_impossible_requests_say_so():
    with pytest.raises(ResultsError, match="1 to 4 objectives, got 5"):
        hypervolume([], (1.0,) * 5)
    with pytest.raises(ResultsError, match="expected 2 values each"):
        hypervolume([(1.0,)], (1.0, 1.0))
    with pytest.raises(ResultsError, match="finish a trial first"):
        reference_point([(math.nan, 1.0)])
