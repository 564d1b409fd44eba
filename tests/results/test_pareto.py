import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.pareto import Front, dominates, knee, pareto_front, ranks

# Few distinct values, so that ties and duplicates are common.
coordinates = st.integers(0, 6).map(float)
clouds = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.tuples(*[coordinates] * size), max_size=30)
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
    began = time.process_time()
    front = Front()
    for point in points:
        front.add(point)
    assert time.process_time() - began < 2.0
    assert sorted(front.members) == pareto_front(points)
