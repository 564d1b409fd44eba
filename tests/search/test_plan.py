"""How a longer run is asked for, and how the time of one is divided."""

import time
from random import Random

import pytest

from lightir_core.errors import SearchError
from results.table import load_table
from search.config import SearchConfig
from search.jobs import Silent
from search.plan import NOTHING, TRIALS, More, make_plan
from search.trainings import LEAST_S, affordable_trials, find_prior, trial_job
from spaces import find_space

CONFIG = SearchConfig(trials=8, time_s=60, space="small", budget="60k", device="cpu", workers=2)


@pytest.mark.parametrize(
    ("more", "trials", "time_s"),
    [
        (NOTHING, 8, 60),
        (More(trials="64"), 64, 60),
        (More(trials="+4"), 14, 60),
        (More(time_s=3600.0), 0, 3600),
        (More(trials="+4", time_s=3600.0), 14, 3600),
        (More(time_s=0.0), 8, 0),
    ],
)
def test_what_is_added_to_ten_trials(more, trials, time_s):
    longer = more.added(CONFIG, 10).search
    assert (longer.trials, longer.time_s) == (trials, time_s)


@pytest.mark.parametrize("trials", ["9", "-1", "1.5", "", "+", "99999999999"])
def test_what_cannot_be_added(trials):
    with pytest.raises(SearchError, match=r"were begun already|is no number"):
        More(trials=trials).added(CONFIG, 10)


@pytest.mark.parametrize(
    ("settings", "trials", "finish_steps"),
    [
        ({"trials": 0, "time_s": 0}, TRIALS, 300),
        ({"trials": 0, "time_s": 60}, TRIALS, 0),
        ({"trials": 3, "time_s": 60, "finish_steps": 40}, 3, 40),
    ],
)
def test_steps_are_settled_but_where_the_time_decides(tmp_path, settings, trials, finish_steps):
    config = make_plan(CONFIG.replace(**settings), tmp_path, find_space("small")).config
    assert (config.search.trials, config.training.finish_steps) == (trials, finish_steps)


@pytest.mark.parametrize(
    ("settings", "finalists"),
    [
        ({"workers": 2}, 2),
        ({"workers": 8}, 2),
        ({"workers": 1}, 1),  # two would each get half of the time
        ({"workers": 1, "time_s": 0}, 2),
        ({"workers": 1, "finalists": 3}, 3),
    ],
)
def test_who_trains_one_at_a_time_gives_it_all_of_the_time(tmp_path, settings, finalists):
    config = make_plan(CONFIG.replace(**settings), tmp_path, find_space("small")).config
    assert config.training.finalists == finalists


def test_a_trial_ends_with_the_time_of_the_search(tmp_path):
    """A slow one ended four minutes after it, and left none for the finalists."""
    plan = make_plan(CONFIG.replace(steps=90), tmp_path, find_space("small"))
    candidate = plan.feasible.draw(Random(0))
    job = trial_job(plan, 0, candidate, 90, time.monotonic() + 30)
    assert 29 < job.limit_s <= 30
    assert trial_job(plan, 0, candidate, 90, time.monotonic() - 30).limit_s == LEAST_S
    assert trial_job(plan, 0, candidate, 90).limit_s == 0
    # what is compared at rungs has trained equally long
    climbing = make_plan(CONFIG.replace(steps=90, fidelity="asha"), tmp_path, find_space("small"))
    assert trial_job(climbing, 0, candidate, 30, time.monotonic() + 30).limit_s == 0


def test_more_time_is_for_more_candidates(tmp_path):
    counts = [
        affordable_trials(make_plan(CONFIG.replace(time_s=seconds), tmp_path, find_space("small")))
        for seconds in (1, 36_000)
    ]
    assert counts[0] == CONFIG.machine.workers
    assert counts[1] > 100


class Notes(Silent):
    def __init__(self):
        self.notes, self.items = [], []

    def note(self, text):
        self.notes.append(text)

    def item(self, text):
        self.items.append(text)


def found_prior(tmp_path, **settings):
    plan = make_plan(CONFIG.replace(**settings), tmp_path, find_space("small"))
    callback = Notes()
    return find_prior(plan, plan.objectives, callback), callback


def test_the_shipped_table_is_enough_for_a_prior(tmp_path):
    prior, callback = found_prior(tmp_path)
    assert prior.count >= 49
    assert callback.items == [f"prior: learnt from {prior.count} trainings"]
    assert callback.notes == []


def test_a_task_that_the_table_does_not_know_is_said(tmp_path):
    prior, callback = found_prior(tmp_path, task="jpeg:30")
    assert callback.items == [f"prior: learnt from {prior.count} trainings, of sr-x2"]


def test_a_damaged_table_leaves_the_search_without_a_prior(tmp_path, monkeypatch):
    broken = tmp_path / "trained.json.xz"
    broken.write_bytes(b"no table")
    monkeypatch.setattr("search.trainings.load_table", lambda: load_table(broken))
    prior, callback = found_prior(tmp_path)
    assert prior is None
    (note,) = callback.notes
    assert "is no whole table of trained networks" in note
    assert note.endswith("the search goes on without a prior")


def test_what_the_table_knows_nothing_of_has_no_prior(tmp_path):
    prior, callback = found_prior(tmp_path, evaluator="zero-cost")
    assert prior is None
    assert callback.notes == []
