"""Nothing over budget, nothing twice, and the truth about what cannot be."""

import itertools
import random
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.assess import CostSettings
from budgets.budget import Size
from budgets.price import price
from lightir_core.errors import BudgetError, SearchError
from search.feasible.space import Feasible
from spaces import SPACES

seeds = st.integers(0, 2**32)

# axis -> a limit that about half of a space keeps
BUDGETS = ("60k", "macs=30M", "params=60k,macs=100M", "params=100k,macs=30M")


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("space", ["few", "small"])
@settings(max_examples=8)
@given(seed=seeds)
def test_near_is_never_over_budget(feasible, space, budget, seed):
    fitting = feasible(space, budget)
    candidate = fitting.near({}, random.Random(seed))
    assert fitting.budget.allows(candidate.cost)
    assert candidate.cost == price(candidate.architecture, fitting.size)
    assert candidate.architecture == fitting.space.decode(candidate.choices, fitting.shape)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_near_is_never_over_budget_in_any_space(feasible, space):
    fitting = feasible(space, "params=90k,macs=120M")
    rng = random.Random(0)
    taken = set()
    for _ in range(10):
        candidate = fitting.near({}, rng, taken)
        assert fitting.budget.allows(candidate.cost)
        assert candidate.architecture.id not in taken
        taken.add(candidate.architecture.id)


def test_everything_that_fits_is_found_once_and_then_no_more(feasible, few_candidates):
    limit = sorted(c.cost.params for c in few_candidates)[len(few_candidates) // 2]
    fitting = feasible("few", f"{limit}")
    there = {c.architecture.id for c in few_candidates if c.cost.params <= limit}
    rng, taken = random.Random(0), set()
    for _ in there:
        candidate = fitting.near({}, rng, taken)
        assert candidate.architecture.id not in taken
        taken.add(candidate.architecture.id)
    assert taken == there
    with pytest.raises(
        SearchError, match=f"no new architecture within budget {limit} .* space 'few' has about run"
    ):
        fitting.near({}, rng, taken)


@given(seed=seeds)
def test_a_wish_that_fits_is_fulfilled(feasible, few_candidates, seed):
    rng = random.Random(seed)
    wish = rng.choice(few_candidates)
    assert feasible().near(wish.choices, rng) == wish


@given(seed=seeds)
def test_a_wish_that_does_not_fit_is_bent(feasible, few_candidates, seed):
    rng = random.Random(seed)
    limit = sorted(c.cost.macs for c in few_candidates)[20]
    wish = rng.choice([c for c in few_candidates if c.cost.macs > limit])
    found = feasible("few", f"macs={limit}").near(wish.choices, rng)
    assert found.cost.macs <= limit


def test_a_taken_wish_becomes_a_neighbour(feasible, few_candidates):
    [wish] = [c for c in few_candidates if c.choices == {
        "width": 16, "stages": 1, "stage1.mixer": "window", "stage1.heads": 2,
        "stage1.window": "4x4", "stage1.blocks": 1,
    }]  # fmt: skip
    found = feasible().near(wish.choices, random.Random(3), {wish.architecture.id})
    assert found.architecture != wish.architecture
    names = {*found.choices, *wish.choices}
    changed = [n for n in names if found.choices.get(n) != wish.choices.get(n)]
    # one change, with what hangs on it: a second stage brings its choices along
    assert len([n for n in changed if not n.startswith("stage2")]) == 1 or changed == [
        "stage1.mixer", "stage1.heads",
    ]  # fmt: skip


def test_equal_seeds_go_equal_ways(feasible):
    fitting = feasible("small", "50k")
    first, second = (fitting.near({}, random.Random(5)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("budget", ["params=1", "macs=1", "params=1,macs=1T", "params=1M,macs=1"])
def test_the_smallest_is_the_smallest(feasible, few_candidates, budget):
    fitting = feasible("few", budget)
    least = min(fitting.budget.overrun(c.cost) for c in few_candidates)
    assert fitting.budget.overrun(fitting.smallest().cost) == least


@pytest.mark.parametrize("axis", ["params", "macs"])
@pytest.mark.parametrize("space", ["small", pytest.param("default", marks=pytest.mark.slow)])
def test_nothing_sampled_is_smaller_than_the_smallest(feasible, space, axis):
    fitting = feasible(space, f"{axis}=1")
    least = getattr(fitting.smallest().cost, axis)
    rng = random.Random(0)
    sampled = (fitting.candidate(fitting.space.sample(rng)) for _ in range(150))
    assert least <= min(getattr(c.cost, axis) for c in sampled)


def test_overrun_is_the_worst_share(feasible, few_candidates):
    cost = few_candidates[0].cost
    fitting = feasible("few", f"params={cost.params * 2},macs={cost.macs}")
    assert fitting.budget.overrun(cost) == 1
    fitting = feasible("few", f"params={cost.params},macs={cost.macs * 4}")
    assert fitting.budget.overrun(cost) == 1


def test_a_possible_budget_passes(feasible, few_candidates):
    least = min(c.cost.params for c in few_candidates)
    feasible("few", f"{least}").check()


@pytest.mark.parametrize("axis", ["params", "macs"])
def test_an_impossible_budget_names_the_smallest_cost(feasible, few_candidates, axis):
    least = min(getattr(c.cost, axis) for c in few_candidates)
    fitting = feasible("few", f"{axis}={least - 1}")
    with pytest.raises(BudgetError) as caught:
        fitting.check()
    message = str(caught.value)
    assert re.match(
        rf"budget '{axis}={least - 1}' cannot be met in space 'few': the smallest network it holds "
        rf"costs {axis}=\S+ \(at 64x64\); raise the budget or widen the space$",
        message,
    )
    [told] = re.findall(rf"costs ({axis}=\S+) ", message)
    feasible("few", told).check()  # the advice can be followed


@pytest.mark.parametrize("axis", ["params", "macs"])
def test_the_smallest_cost_is_told_so_that_it_can_be_asked_for(feasible, axis):
    """In four digits, rounded down, it would be a budget that cannot be met."""
    with pytest.raises(BudgetError) as caught:
        feasible("small", f"{axis}=10").check()
    [told] = re.findall(rf"costs ({axis}=\S+) ", str(caught.value))
    feasible("small", told).check()


def test_budgets_that_only_together_are_impossible(feasible, few_candidates):
    params = min(c.cost.params for c in few_candidates)
    macs = min(c.cost.macs for c in few_candidates)
    fitting = feasible("few", f"params={10 * params},macs={macs // 2}")
    with pytest.raises(BudgetError, match=r"costs params=[\d_]+,macs=[\d_]+ \(at 64x64\)"):
        fitting.check()


def test_a_memory_budget_holds(feasible, few_candidates):
    everything = feasible("few", "memory=1TiB,inference-memory=1TiB")
    costs = [everything.price(c.architecture) for c in few_candidates]
    limit = sorted(c.training_bytes for c in costs)[len(costs) // 2]
    fitting = feasible("few", f"memory={limit}B")
    fitting.check()
    assert fitting.near({}, random.Random(0)).cost.training_bytes <= limit


def test_a_latency_budget_needs_times(feasible):
    with pytest.raises(BudgetError, match="latency needs a table of times"):
        feasible("few", "latency=40ms").check()


def test_draws_fit_and_are_new(feasible, few_candidates):
    limit = sorted(c.cost.params for c in few_candidates)[20]
    fitting = feasible("few", f"{limit}")
    rng, taken = random.Random(0), set()
    for _ in range(sum(c.cost.params <= limit for c in few_candidates)):
        candidate = fitting.draw(rng, taken)
        assert fitting.budget.allows(candidate.cost)
        assert candidate.architecture.id not in taken
        taken.add(candidate.architecture.id)
    with pytest.raises(SearchError, match="has about run out"):
        fitting.draw(rng, taken)


@pytest.mark.parametrize("budget", ["60k", "macs=60M", "params=60k,macs=100M"])
def test_a_band_is_kept_by_everything_that_proposes(feasible, budget):
    fitting = replace(feasible("small", budget), fill=0.05)
    fitting.check()
    axis, limit = fitting.budget.limits[0]
    rng = random.Random(1)
    candidate = fitting.draw(rng)
    for _ in range(10):
        value = getattr(candidate.cost, axis)
        assert 0.95 * limit <= value <= limit
        assert fitting.budget.allows(candidate.cost)
        candidate = fitting.near(fitting.space.mutate(candidate.choices, rng), rng)


def test_a_band_of_memory_is_kept(feasible, few_candidates):
    everything = feasible("few", "memory=1TiB")
    peaks = sorted(everything.price(c.architecture).training_bytes for c in few_candidates)
    fitting = replace(feasible("few", f"memory={peaks[40]}B"), fill=0.2)
    found = fitting.near({}, random.Random(0))
    assert 0.8 * peaks[40] <= found.cost.training_bytes <= peaks[40]


def test_an_empty_band_is_told(feasible, few_candidates):
    params = sorted({c.cost.params for c in few_candidates})
    gap, below, above = max((b - a, a, b) for a, b in itertools.pairwise(params))
    fitting = replace(feasible("few", f"{above - 1}"), fill=0.5 * gap / above)
    assert below < above - 1 - 0.5 * gap
    with pytest.raises(BudgetError, match=r"no network of space 'few' was found within .* below"):
        fitting.check()


def test_limits_hold_at_all_sizes(feasible):
    sizes = (Size(64, 64), Size(20, 200))
    fitting = replace(feasible("small", "macs=60M"), cost_settings=CostSettings(sizes=sizes))
    for seed in range(5):
        architecture = fitting.draw(random.Random(seed)).architecture
        assert all(price(architecture, size).macs <= 60 * 10**6 for size in sizes)


def test_what_descent_misses_is_still_found(feasible, few_candidates, monkeypatch):
    """Both limits at once, where the way down ends somewhere else."""
    wish = few_candidates[10].cost
    fitting = feasible("few", f"params={wish.params},macs={wish.macs}")
    largest = max(few_candidates, key=lambda c: c.cost.params)
    monkeypatch.setattr(Feasible, "smallest", lambda self: largest)
    fitting.check()


def test_what_objectives_need_is_priced_for_every_candidate(feasible):
    plain = feasible("few", "20k")
    asked = replace(plain, priced=("memory", "inference-memory"))
    for draw in (asked.near({}, random.Random(1)), asked.draw(random.Random(1))):
        assert draw.cost.training_bytes > 0
        assert draw.cost.inference_bytes > 0
        assert draw == asked.candidate(draw.choices)
    assert plain.near({}, random.Random(1)).cost.training_bytes is None
    assert asked.near({}, random.Random(1)).choices == plain.near({}, random.Random(1)).choices
