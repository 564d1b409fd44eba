"""Published designs in front of a search: points of its space, within the budget."""

from dataclasses import replace

import pytest

from budgets.assess import CostSettings, Target
from budgets.budget import Budget
from lightir_core.published.presets import PRESETS
from search.starts import SHARES, TRIES, published_starts
from search.strategies import STRATEGIES
from tests.search.conftest import SIZE
from tests.search.strategies.test_strategy import MARKS, ids, play


@pytest.fixture(scope="module")
def starts(feasible):
    """Space and budget -> what is begun with."""

    def of(space="default", budget="100k"):
        target = Target(Budget.parse(budget), CostSettings(sizes=(SIZE,)))
        return published_starts(feasible(space, budget), target, "sr-x2")

    return of


def test_every_start_is_a_new_point_of_the_space(starts, feasible):
    made, space = starts(), feasible("default", "100k").space
    assert len(set(ids(made))) == len(made) > 2 * len(PRESETS)
    for candidate in made:
        assert candidate == feasible("default", "100k").candidate(candidate.choices)
        assert space.complete(candidate.choices, None) == candidate.choices  # nothing is drawn


def test_designs_fill_a_quarter_a_half_and_all_of_the_budget(starts):
    sizes = [candidate.cost.params for candidate in starts()]
    for share, least in zip(SHARES, (0, *SHARES), strict=False):
        assert any(least * 100_000 < size <= share * 100_000 for size in sizes)
    assert max(sizes[:6]) <= 25_000 < max(sizes) <= 100_000


def test_limits_that_take_long_to_tell_are_kept_and_seldom_asked(starts, feasible, monkeypatch):
    """Each size of each design was held against a limit on memory: minutes before a search."""
    asked = []
    overrun = Target.overrun
    monkeypatch.setattr(Target, "overrun", lambda self, a: asked.append(a) or overrun(self, a))
    budget = "100k,memory=30MiB"
    target = Target(Budget.parse(budget), CostSettings(sizes=(SIZE,)))
    made = published_starts(feasible("default", budget), target, "sr-x2")
    assert len(asked) <= TRIES * len(SHARES) * len(PRESETS)
    assert len(made) > len(PRESETS)
    assert all(overrun(target, candidate.architecture) <= 1 for candidate in made)
    assert ids(made) != ids(starts())


def test_what_does_not_fit_is_left_out(starts):
    assert starts("few", "1k") == ()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, ())) for name in STRATEGIES]
)
def test_a_strategy_goes_on_from_the_starts(setting, starts, name):
    begun = starts("small", "60k")
    assert len(begun) > 4
    set_up = replace(setting(), starts=begun)
    made = play(STRATEGIES[name](set_up), set_up, len(begun) + 8)
    assert ids(made)[: len(begun)] == ids(begun)
    assert len(set(ids(made))) == len(made)
