import math

from search.strategies.fitness import crowding, fitness, places

NAN = float("nan")


def test_crowding_as_by_hand():
    # spans 4 and 8; neighbours of the second: (3-0)/4 + (8-2)/8, of the third: (4-1)/4 + (4-0)/8
    points = [(0.0, 8.0), (1.0, 4.0), (3.0, 2.0), (4.0, 0.0)]
    assert crowding(points) == [math.inf, 1.5, 1.25, math.inf]


def test_an_axis_on_which_all_are_equal_says_nothing():
    assert crowding([(1.0, 0.0), (1.0, 1.0), (1.0, 4.0)]) == [math.inf, 1.0, math.inf]


def test_rank_comes_first_and_crowding_second():
    points = [(2.0, 2.0), (0.0, 3.0), (1.0, 1.9), (3.0, 0.0), (9.0, 9.0), (NAN, 0.0)]
    found = fitness(points)
    assert [rank for rank, _ in found] == [1, 0, 0, 0, 2, 6]
    # of the front the ends before the middle, then the dominated, last what has no value
    assert places(points) == [3, 0, 2, 1, 4, 5]


def test_one_objective_is_its_own_order():
    assert places([(3.0,), (1.0,), (2.0,)]) == [2, 0, 1]


def test_of_nothing_nothing():
    assert places([]) == []
