"""Which networks a bank is trained on."""

from dataclasses import replace

import pytest

from budgets.budget import AXES
from search.bank.sandwich import TURNS, Sandwich


@pytest.fixture(scope="module")
def small(feasible):
    return feasible("small", "40k")


def test_every_network_is_within_budget(small):
    sandwich = Sandwich(small, seed=0)
    for step in range(3 * len(TURNS)):
        assert small.overrun(small.price(sandwich.network(step))) <= 1


def test_the_smallest_and_large_ones_have_their_turns(small):
    sandwich = Sandwich(small, seed=0)
    sizes = {
        turn: [
            small.price(sandwich.network(step)).params
            for step in range(4 * len(TURNS))
            if TURNS[step % len(TURNS)] == turn
        ]
        for turn in set(TURNS)
    }
    assert set(sizes["smallest"]) == {small.smallest().cost.params}
    assert min(sizes["smallest"]) <= min(sizes["random"])
    mean = {turn: sum(found) / len(found) for turn, found in sizes.items()}
    assert mean["smallest"] < mean["random"] < mean["largest"]
    assert len(set(sizes["random"])) > 8


def test_a_step_and_a_seed_decide(small):
    first, again, other = Sandwich(small, 0), Sandwich(small, 0), Sandwich(small, 1)
    steps = range(2 * len(TURNS))
    assert [first.network(s) for s in steps] == [again.network(s) for s in reversed(steps)][::-1]
    assert [first.network(s) for s in steps] != [other.network(s) for s in steps]


def test_a_band_is_kept(small):
    band = replace(small, fill=0.1)
    sandwich = Sandwich(band, seed=0)
    for step in range(len(TURNS)):
        cost = small.price(sandwich.network(step))
        assert 36_000 <= getattr(cost, AXES["params"].field) <= 40_000
