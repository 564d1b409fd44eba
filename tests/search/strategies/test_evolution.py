import random

from search.strategies.evolution import GENERATIONS, EvolutionStrategy, mutated
from spaces import SPACES


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
