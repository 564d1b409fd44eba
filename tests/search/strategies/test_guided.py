"""Guided search: the prior decides what is trained, the budget what may be."""

import random
from dataclasses import replace

import numpy as np
import pytest

from search.strategies import STRATEGIES
from search.strategies.guided import GuidedStrategy, expected_gain


def play(strategy, trials, score, generation=4):
    """Propose and observe as the loop does; the candidates."""
    made = []
    for first in range(0, trials, generation):
        numbers = range(first, min(first + generation, trials))
        proposed = [strategy.propose(number) for number in numbers]
        for number, candidate in zip(numbers, proposed, strict=True):
            strategy.observe(number, (score(candidate), candidate.cost.macs))
        made += proposed
    return made


@pytest.fixture
def guided(setting, prior_of, trained_table):
    def begun(**changes):
        # a prior learns from the run that it belongs to
        return GuidedStrategy(replace(setting(), **changes), prior_of(trained_table[:60]))

    return begun


def test_it_begins_with_what_a_draw_would_hardly_find(guided, setting, worth):
    rng, feasible = random.Random(0), setting().feasible
    drawn = [worth(feasible.near({}, rng)) for _ in range(40)]
    proposed = [worth(guided().propose(number)) for number in (0, 2, 4)]
    assert min(proposed) > np.quantile(drawn, 0.8)


def test_equal_seeds_and_scores_propose_equally(guided, worth):
    first, again = (
        [candidate.architecture.id for candidate in play(guided(), 12, worth)] for _ in range(2)
    )
    assert first == again
    assert len(set(first)) == 12


def test_every_second_proposal_serves_the_front(guided, worth):
    made = play(guided(), 16, worth)
    large, small = made[::2], made[1::2]
    assert np.median([c.cost.macs for c in small]) < np.median([c.cost.macs for c in large])


def test_published_designs_wait_for_their_expectation(guided, setting):
    feasible = setting().feasible
    poor = feasible.smallest()
    strategy = guided(starts=(poor,))
    assert strategy.propose(0).architecture != poor.architecture
    assert poor in strategy._pool


def test_nothing_is_proposed_that_takes_too_long(guided, prior_of, trained_table, worth):
    clock = prior_of(trained_table[:60])
    free = clock.seconds(play(guided(), 8, worth))
    limit = float(np.quantile(free, 0.3))
    assert (clock.seconds(play(guided(longest_s=limit), 8, worth)) <= limit).all()


def test_where_everything_takes_too_long_the_shortest_is_proposed(guided):
    assert guided(longest_s=0.0).propose(0)


def test_without_a_prior_the_starts_come_first(setting):
    set_up = setting()
    start = set_up.feasible.smallest()
    strategy = STRATEGIES["guided"](replace(set_up, starts=(start,)))
    assert strategy.propose(0) == start
    assert strategy.propose(1) != start


def test_a_gain_is_the_mean_of_what_is_beyond():
    rng = np.random.default_rng(0)
    means, deviations, beaten = np.array([1.0, 2.0, 0.0]), np.array([1.0, 0.1, 2.0]), np.ones(3)
    drawn = rng.normal(means, deviations, (400_000, 3))
    assert expected_gain(means, deviations, beaten) == pytest.approx(
        np.maximum(drawn - beaten, 0).mean(axis=0), abs=0.01
    )
