import itertools
import math
import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightir_core.errors import ResultsError
from results.pareto import (
    Front,
    dominates,
    hypervolume,
    hypervolume_history,
    knee,
    pareto_front,
    ranks,
    reference_point,
)

# Few distinct values, so that ties and duplicates are common.
finite = st.integers(0, 6).map(float)
coordinates = finite | st.sampled_from([-math.inf, math.inf])
clouds = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.tuples(*[coordinates] * size), max_size=30)
)

small_clouds = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.tuples(*[finite] * size), min_size=1, max_size=7)
)


def front_by_definition(points):
    return [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]


def ranks_by_peeling(points):
    result, left, rank = [None] * len(points), list(range(len(points))), 0
    while left:
        layer = [left[i] for i in front_by_definition([points[i] for i in left])]
        for index in layer:
            result[index] = rank
        left, rank = [i for i in left if i not in layer], rank + 1
    return result


def test_dominance_needs_one_strict_gain():
    assert dominates((1, 2), (1, 3))
    assert not dominates((1, 2), (1, 2))
    assert not dominates((1, 3), (2, 2))
    assert not dominates((math.nan, 0), (1, 1))


@given(clouds)
def test_front_is_its_definition(points):
    assert pareto_front(points) == front_by_definition(points)


@given(clouds)
def test_ranks_are_those_of_peeling_fronts_off(points):
    assert ranks(points) == ranks_by_peeling(points)


@given(clouds, st.randoms(use_true_random=False))
def test_incremental_front_is_the_front_in_any_order(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    front = Front()
    for index in order:
        before = set(front.members)
        joined = front.add(points[index])
        assert joined == (len(before | {*front.members}) > len(before))
    assert sorted(order[i] for i in front.members) == front_by_definition(points)
    assert len(front) == len(front.points) == len(front.members)


def test_points_with_nan_are_on_no_front():
    points = [(math.nan, 0.0), (1.0, 1.0), (0.0, math.nan)]
    assert pareto_front(points) == [1]
    assert ranks(points) == [None, 0, None]
    assert not Front().add(points[0])


def test_knee_is_where_a_little_more_stops_buying_much():
    # Distance from x + y = 1 after scaling: 0, 0.5, 0.65, 0.35, 0.
    front = [(0.0, 100.0), (1.0, 40.0), (1.5, 20.0), (5.0, 15.0), (10.0, 0.0)]
    assert knee(front) == 2


def test_knee_of_three_objectives_ignores_an_axis_that_is_constant():
    front = [(0.0, 10.0, 3.0), (2.0, 2.0, 3.0), (10.0, 0.0, 3.0)]
    assert knee(front) == 1


@pytest.mark.parametrize(
    "front",
    [[], [(1.0, 1.0)], [(0.0, 1.0), (1.0, 0.0)], [(0.0, 2.0), (1.0, 1.0), (2.0, 0.0)],
     [(0.0, 2.0), (1.5, 1.5), (2.0, 0.0)], [(1.0, 1.0)] * 3],
    ids=["empty", "one", "two", "straight", "hollow", "equal"],
)  # fmt: skip
def test_no_knee_where_nothing_bulges(front):
    assert knee(front) is None


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 9))
def test_five_thousand_trials_are_cheap(seed):
    points = np.random.default_rng(seed).random((5000, 3)).tolist()
    front = Front()
    moments = [time.process_time()]
    for half in (points[:2500], points[2500:]):
        for point in half:
            front.add(point)
        moments.append(time.process_time())
    first, second = (after - before for before, after in itertools.pairwise(moments))
    assert second < 10 * first  # it is the front that is gone through, not all that came before
    assert sorted(front.members) == pareto_front(points)


def by_inclusion_exclusion(points, reference):
    """The union of boxes by its textbook formula, exponential and independent of any sweep."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in combinations(points, size):
            corner = np.max(chosen, axis=0)
            total -= (-1) ** size * np.prod(np.maximum(0, np.asarray(reference) - corner))
    return total


@given(small_clouds, st.integers(3, 6))
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


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=12))
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
