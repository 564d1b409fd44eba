"""What every strategy in the table promises: the budget, no repeats, the same again."""

import math
import random
import statistics
from importlib.util import find_spec

import pytest

from lightir_core.errors import SearchError
from results.objectives import Objective, minimised
from results.pareto import hypervolume
from search.strategies import STRATEGIES
from search.strategies.strategy import INACTIVE, answers, to_row, to_wish
from spaces import SPACES

PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise", unit="MACs", label="MACs")
PARAMS = Objective(name="params", direction="minimise", unit="parameters", label="Parameters")

# Gaussian processes take seconds where others take milliseconds
MARKS = {
    "gp": [pytest.mark.slow],
    "nni-tpe": [
        pytest.mark.skipif(find_spec("nni") is None, reason="the extra [nni] is not there")
    ],
}
MARKS["nni-evolution"] = MARKS["nni-tpe"]
every_strategy = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, ())) for name in STRATEGIES]
)


def worth(candidate):
    """A score as a training would give: more work is better, and depth better than width."""
    choices = candidate.choices
    depth = sum(value for name, value in choices.items() if name.endswith("blocks"))
    return 30 + math.log10(candidate.cost.macs) + 0.2 * depth - choices["width"] / 100


def values_of(candidate, objectives):
    scores = {"psnr_y": worth(candidate), "macs": candidate.cost.macs}
    scores["params"] = candidate.cost.params
    return tuple(float(scores[objective.name]) for objective in objectives)


def play(strategy, setting, trials, *, first=0, failing=(), values=values_of):
    """Propose and observe as the loop does; the candidates."""
    made = []
    for start in range(first, trials, setting.generation):
        numbers = range(start, min(start + setting.generation, trials))
        proposed = [strategy.propose(number) for number in numbers]
        for number, candidate in zip(numbers, proposed, strict=True):
            failed = number in failing
            strategy.observe(number, None if failed else values(candidate, setting.objectives))
        made += proposed
    return made


def ids(candidates):
    return [candidate.architecture.id for candidate in candidates]


@every_strategy
def test_proposals_are_within_budget_and_new(setting, name):
    set_up = setting()
    made = play(STRATEGIES[name](set_up), set_up, 20)
    assert all(set_up.feasible.budget.allows(candidate.cost) for candidate in made)
    assert len(set(ids(made))) == 20
    for candidate in made:
        assert candidate == set_up.feasible.candidate(candidate.choices)


@every_strategy
def test_equal_seeds_propose_equally(setting, name):
    first, again, other = (
        ids(play(STRATEGIES[name](set_up), set_up, 12))
        for set_up in (setting(seed=1), setting(seed=1), setting(seed=2))
    )
    assert first == again
    assert not set(first) & set(other) or first != other


@every_strategy
def test_the_global_generator_does_not_matter(setting, name):
    set_up = setting()
    random.seed(1)
    first = ids(play(STRATEGIES[name](set_up), set_up, 8))
    random.seed(2)
    assert ids(play(STRATEGIES[name](set_up), set_up, 8)) == first


@every_strategy
def test_a_restarted_strategy_goes_on_as_the_first_would(setting, name):
    """Replaying what was tried brings back all there is to know."""
    set_up = setting()
    uninterrupted = ids(play(STRATEGIES[name](set_up), set_up, 16, failing=(2, 5)))
    restarted = STRATEGIES[name](set_up)
    play(restarted, set_up, 8, failing=(2, 5))
    # killed here, in the third generation: its proposals are made again
    assert [restarted.propose(n).architecture.id for n in range(8, 12)] == uninterrupted[8:12]


@every_strategy
def test_failures_are_taken_in_and_not_tried_again(setting, name):
    set_up = setting()
    made = play(STRATEGIES[name](set_up), set_up, 16, failing=range(0, 16, 2))
    assert len(set(ids(made))) == 16


@every_strategy
def test_a_search_in_which_all_fails_goes_on(setting, name):
    set_up = setting()
    assert len(set(ids(play(STRATEGIES[name](set_up), set_up, 12, failing=range(12))))) == 12


@every_strategy
@pytest.mark.parametrize("objectives", [(PSNR,), (MACS,), (PSNR, MACS, PARAMS)], ids=len)
def test_any_number_of_objectives(setting, name, objectives):
    set_up = setting(objectives=objectives)
    made = play(STRATEGIES[name](set_up), set_up, 12)
    assert len(set(ids(made))) == 12


@every_strategy
def test_proposals_depend_on_what_was_observed_but_random_search(setting, name):
    set_up = setting()
    usual = ids(play(STRATEGIES[name](set_up), set_up, 16))

    def reversed_values(candidate, objectives):
        return tuple(-value for value in values_of(candidate, objectives))

    other = ids(play(STRATEGIES[name](set_up), set_up, 16, values=reversed_values))
    assert usual[:4] == other[:4]
    assert (usual == other) == (name == "random")


@every_strategy
def test_a_generation_does_not_see_its_own_scores(setting, name):
    """So the outcome does not depend on which trial ends first."""
    set_up = setting(generation=6)
    ahead, patient = STRATEGIES[name](set_up), STRATEGIES[name](set_up)
    together = [ahead.propose(number) for number in range(6)]
    assert ids(together) == [patient.propose(number).architecture.id for number in range(6)]


@every_strategy
def test_a_space_that_runs_out_says_so(setting, name, few_candidates):
    least = sorted(c.cost.params for c in few_candidates)[9]
    there = [c for c in few_candidates if c.cost.params <= least]
    set_up = setting("few", str(least), generation=2)
    strategy = STRATEGIES[name](set_up)
    made = play(strategy, set_up, len(there))
    assert set(ids(made)) == set(ids(there))
    with pytest.raises(SearchError, match="no new architecture within budget"):
        strategy.propose(len(there))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nsga2", "tpe", "evolution"])
def test_a_strategy_that_learns_beats_chance(setting, name):
    """Median hypervolume over seeds after as many trials; NSGA-III is for more objectives."""
    reference = (-30.0, 60e6)

    def volume(strategy, seed):
        set_up = setting(budget="macs=60M", generation=8, seed=seed)
        made = play(STRATEGIES[strategy](set_up), set_up, 96)
        points = [minimised(set_up.objectives, values_of(c, set_up.objectives)) for c in made]
        return hypervolume(points, reference)

    seeds = range(5)
    learned = statistics.median(volume(name, seed) for seed in seeds)
    drawn = statistics.median(volume("random", seed) for seed in seeds)
    assert learned > drawn


def test_a_row_answers_every_question_and_says_the_same():
    space = SPACES["default"]
    known = answers(space)
    rng = random.Random(0)
    for _ in range(50):
        point = space.sample(rng)
        row = to_row(known, point)
        assert row.keys() == known.keys()
        assert all(row[name] in known[name] for name in row)
        assert space.complete(to_wish(row), random.Random(1)) == point


def test_only_what_may_not_be_asked_can_be_inactive():
    known = answers(SPACES["default"])
    assert INACTIVE not in known["width"]
    assert INACTIVE in known["stage1.heads"]
    assert INACTIVE in known["stage4.blocks"]


def test_questions_with_one_answer_are_left_out():
    known = answers(SPACES["default"].restrict({"width": (48,), "heads": (2,)}))
    assert "width" not in known
    assert known["stage1.heads"] == (2, INACTIVE)
