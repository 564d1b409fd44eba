import math
import random

from search.strategies.strategy import (
    GENERATIONS,
    EvolutionStrategy,
    crowding,
    fitness,
    mutated,
    positions,
)
from spaces import SPACES

NAN = float("nan")


def test_a_mutant_is_a_point_of_the_space_and_no_copy():
    space, rng = SPACES["default"], random.Random(0)
    for _ in range(200):
        parent = space.sample(rng)
        child = mutated(space, parent, rng)
        assert child != parent
        assert space.complete(child, random.Random(1)) == child


def test_some_mutations_copy_a_stage():
    space, rng = SPACES["default"], random.Random(0)
    parent = space.complete({"stages": 3, "stage_sharing": 1}, rng)

    def stage(point, number):
        return {k.partition(".")[2]: v for k, v in point.items() if k.startswith(f"stage{number}.")}

    children = [mutated(space, parent, rng) for _ in range(200)]
    copies = [c for c in children if any(stage(c, a) == stage(c, b) for a, b in ((1, 2), (2, 3)))]
    assert 10 < len(copies) < 100


def test_the_oldest_leave_the_population(setting):
    set_up = setting(generation=2)
    strategy = EvolutionStrategy(set_up)
    made = []
    for number in range(12):
        made.append(strategy.propose(number))
        strategy.observe(number, (30.0 - number, 1.0 + number))  # the first is the best of all
    assert [choices for choices, _ in strategy._population] == [
        candidate.choices for candidate in made[-2 * GENERATIONS :]
    ]


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
    assert positions(points) == [3, 0, 2, 1, 4, 5]


def test_one_objective_is_its_own_order():
    assert positions([(3.0,), (1.0,), (2.0,)]) == [2, 0, 1]


def test_of_nothing_nothing():
    assert positions([]) == []
