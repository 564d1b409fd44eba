import math
from dataclasses import replace
from datetime import timedelta

import pytest

from lightir_core.learning.curve import Restart
from results.objectives import Objective
from results.report.text import (
    describe_knee,
    describe_use,
    failures,
    headline,
    losses,
    plain_lines,
    pruning,
    restarts,
    status,
    time_facts,
)
from results.run_view import read_run


@pytest.fixture(scope="module")
def view(finished_run):
    return read_run(finished_run)


def test_the_headline_of_a_model(view):
    found = headline(view)
    best = view.best
    assert found.model is best
    notes = {figure.label: (figure.value, figure.note) for figure in found.figures}
    assert notes["PSNR-Y"][0] == f"{best.scores['psnr_y']:.2f} dB"
    assert notes["Parameters"] == (f"{best.cost['params']:,}", "")
    assert notes["MACs"][1] == "for an output of 1280x720"
    assert notes["Within budget"] == ("yes", "budget 480k")


def test_a_model_that_nobody_counted_claims_nothing(view):
    models = tuple(replace(model, within_budget=None) for model in view.models)
    labels = [figure.label for figure in headline(replace(view, models=models)).figures]
    assert labels == ["PSNR-Y", "MACs", "Parameters"]


def test_without_models_the_best_trial_is_told_without_a_gain(view):
    """Trials may be scored on other images than the baseline: the two are not subtracted."""
    found = headline(replace(view, models=()))
    assert found.title.startswith(f"Best so far: trial {view.front[0].number}, ")
    assert found.figures[0].note == ""


def test_nothing_finished_has_no_headline(view):
    assert headline(replace(view, models=(), trials=())) is None


def test_status_counts_what_is_there(view):
    assert status(view) == "20 trials: 18 finished, 2 failed"
    running = replace(view.trials[0], state="running")
    assert status(replace(view, trials=(running,))) == (
        "1 of 20 trials: 0 finished, 1 running; "
        "the run is still going on, or was stopped and can be resumed"
    )
    assert status(replace(view, trials=(), config={})) == "0 trials: 0 finished"


def test_pruning_before_and_after(view):
    parent, pruned = view.models
    changes = {change.label: change for change in pruning(view, pruned)}
    assert pruning(view, parent) == []
    assert changes["Parameters"].before == f"{parent.cost['params']:,}"
    assert changes["MACs"].change == "−28.0 %"
    gain = pruned.scores["psnr_y"] - parent.scores["psnr_y"]
    assert changes["PSNR-Y"].change == f"{gain:+.2f}".replace("-", "−")
    lost = replace(view, models=(pruned,))
    assert pruning(lost, pruned) == []
    blank = replace(view, models=(replace(parent, cost={}), pruned))
    assert {c.label: c.change for c in pruning(blank, pruned)}["MACs"] == "–"


def test_failures_are_grouped_by_reason(view):
    odd = replace(view.trials[6], number=30, reason=None)
    found = failures(replace(view, trials=(*view.trials, odd)))
    assert [(f.reason, f.trials) for f in found] == [
        ("loss is NaN at step 120", (6, 16)), ("no reason was recorded", (30,)),
    ]  # fmt: skip


def test_restarts_are_grouped_by_step_and_rates(view):
    restart = Restart(step=48, before={"lr": 0.1}, after={"lr": 0.03})
    assert restarts(view) == []
    trials = [replace(trial, restart=restart) for trial in view.trials[:2]]
    (found,) = restarts(replace(view, trials=(*trials, *view.trials[2:])))
    assert found.reason == "diverged at step 48 with lr=0.1, restarted with lr=0.03"
    assert found.trials == (0, 1)


def test_the_knee_is_explained_by_what_more_would_cost(view):
    words, best = describe_knee(view), view.front[0]
    assert words.startswith(f"Trial {view.knee.number} is the knee: ")
    assert (
        f"Going on to trial {best.number} brings PSNR-Y to {best.scores['psnr_y']:.2f} dB" in words
    )
    assert describe_knee(replace(view, trials=tuple(view.front[:2]))) == ""
    ssim = Objective(name="ssim_y", direction="maximise")
    three = replace(view, objectives=(*view.objectives, ssim))
    assert "Going on" not in describe_knee(three)


def test_a_network_that_leaves_much_of_the_budget_unused_says_why(view):
    best = view.best
    assert describe_use(view).startswith("It uses ")
    small = [t for t in view.trials if t.cost["params"] <= 240_000]
    assert "no candidate with more than half" in describe_use(replace(view, trials=tuple(small)))
    large = [t for t in view.trials if t.cost["params"] > 240_000]
    assert describe_use(replace(view, trials=tuple(large))).endswith("allowed.")
    for side in (large, small):
        top = max(trial.scores["psnr_y"] for trial in side if trial.state == "finished")
        assert f"{top:.2f} dB" in describe_use(view)
    full = replace(best, cost={**best.cost, "params": 470_000}, scores={"psnr_y": 99.0})
    assert describe_use(replace(view, models=(full,))) == ""
    assert describe_use(replace(view, config={})) == ""


def test_times_come_from_the_trials(view):
    facts = dict(time_facts(view))
    assert facts["Started"] == "2026-11-20 09:30 UTC"
    assert facts["Training of the final networks"] == "2 min 03 s"
    first = replace(view.trials[0], finished=view.trials[0].started + timedelta(hours=2))
    assert dict(time_facts(replace(view, trials=(first,))))["Search"] == "2 h 00 min"
    odd = replace(view, config={"created": "yesterday"}, trials=(), models=())
    assert time_facts(odd) == [("Started", "yesterday")]


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (None, ["–"]),
        (True, ["True"]),
        ("text", ["text"]),
        (2 * 10**37, ["2e+37"]),
        ([], []),
        (["a", ["b", 3]], ["a", "b, 3"]),
        ({"name": "china", "by": {"who": "x"}}, ["name: china", "by: who: x"]),
        (math.inf, ["inf"]),
    ],
)
def test_any_json_value_becomes_lines(value, lines):
    assert plain_lines(value) == lines


def test_lost_workers_are_told_with_their_trials(view):
    assert losses(view) == []
    lost = replace(view.trials[3], losses=("node1", "node2, then on from step 40"))
    assert losses(replace(view, trials=(*view.trials[:3], lost))) == [
        "trial 3: node1; node2, then on from step 40"
    ]
