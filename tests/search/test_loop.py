"""The search is the same for any number of workers, any order of results, and after any kill."""

import math
import random
import re
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.objectives import Objective, minimised
from results.pareto import hypervolume
from results.study import Record
from search.jobs import Job, Outcome, Silent, never
from search.loop import IdleTrials, Limits, Search
from search.rungs import FIDELITIES, rungs_for
from search.strategies import STRATEGIES

every_strategy = pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(
            name,
            marks=pytest.mark.slow
            if name == "gp"
            else pytest.mark.skipif(
                name.startswith("nni") and find_spec("nni") is None, reason="[nni] is not there"
            ),
        )
        for name in STRATEGIES
    ],
)

every_way = pytest.mark.parametrize(
    ("strategy", "fidelity"),
    [
        *(pytest.param(*mark.values, "none", marks=mark.marks) for mark in every_strategy.args[1]),
        *(("nsga2", fidelity) for fidelity in FIDELITIES if fidelity != "none"),
    ],
)

FOREVER = float("inf")
PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise")
TRIALS = 14
STEPS = 9


def score_by_size(job):
    """Scores without a training: the smaller the better, and some noise from the job's seed."""
    noise = random.Random(job.seed).random() / 10
    blocks = sum(len(stage.blocks) for stage in job.architecture.stages)
    whole = 30 - job.architecture.width / 10 + blocks + noise

    def value(step):
        return whole - (1 - step / STEPS) * blocks  # what is large in the end comes late

    curve = tuple((step, value(step)) for step in range(1, job.until + 1))
    scores = {"psnr_y": value(job.until)}
    return Outcome(number=job.number, scores=scores, curve=curve, seconds=0.1)


def score_or_fail(job):
    if job.number % 5 == 2:
        return Outcome(number=job.number, reason="training failed: the loss became nan at step 3")
    if job.number % 5 == 4:
        return replace(score_by_size(job), scores={"psnr_y": math.nan})
    return score_by_size(job)


@dataclass
class InProcess:
    """A driver in this process: `workers` jobs under way at a time, ending in random order."""

    work: object = score_by_size
    workers: int = 1
    seed: int = 0
    dies_after: int | None = None
    """Results until a kill, as Ctrl-C or the end of the process would come."""

    def __post_init__(self):
        self.taken = []

    def drive(self, source):
        rng = random.Random(self.seed)
        running = []
        while True:
            while len(running) < self.workers and (job := source.ask()) is not None:
                running.append(job)
                self.taken.append(job.number)
            if not running:
                return
            if self.dies_after == 0:
                raise KeyboardInterrupt
            if self.dies_after is not None:
                self.dies_after -= 1
            job = running.pop(rng.randrange(len(running)))
            source.tell(job, self.work(job))


class Recording(Silent):
    def __init__(self):
        self.notes, self.trials = [], []

    def note(self, text):
        self.notes.append(text)

    def trial(self, trial):
        self.trials.append(trial)


def job_for(number, candidate, until=STEPS):
    return Job(
        number=number,
        architecture=candidate.architecture,
        recipe=PROXY.lasting(STEPS),
        source=ImageSource(task=parse_task("sr-x2")),
        seed=derive(0, "train", number),
        device="cpu",
        weights=Path("nowhere"),
        until=until,
    )


@pytest.fixture
def searched(tmp_path, setting):
    """Search, in a folder that is made at the first call with its name; the trials."""

    def go(folder="run", *, strategy="nsga2", trials=TRIALS, deadline=FOREVER, callback=None,
           driver=None, patience=0, stop=never, fidelity="none", learn=lambda: None,
           **more):  # fmt: skip
        set_up = replace(setting(**more), prior=(prior := learn()))
        path = tmp_path / folder
        dimensions = set_up.feasible.space.distributions()
        there = (path / "study.journal").exists()
        opened = (
            Record.open(path, write=True)
            if there
            else Record.create(path, set_up.objectives, dimensions)
        )
        with opened as record:
            source = Search(
                STRATEGIES[strategy](set_up),
                record,
                job_for,
                Limits(trials, set_up.generation, deadline, patience, stop),
                callback or Silent(),
                rungs_for(fidelity, STEPS, lowest=1),
                prior,
            )
            (driver or InProcess()).drive(source)
            assert source.ask() is None
            return record.trials()

    return go


def outline(trials):
    return [
        (
            t.number,
            t.state,
            t.architecture.id,
            dict(t.choices),
            dict(t.scores),
            t.curve,
            t.rungs,
            t.reason,
        )
        for t in trials
    ]


def test_trials_are_recorded_whole(searched, setting):
    trials = searched()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert {trial.state for trial in trials} == {"finished"}
    feasible = setting().feasible
    for trial in trials:
        candidate = feasible.candidate(dict(trial.choices))
        assert trial.architecture == candidate.architecture
        assert trial.cost == candidate.cost.to_plain()
        assert feasible.budget.allows(candidate.cost)
        expected = score_by_size(job_for(trial.number, candidate))
        assert (trial.scores, trial.curve) == (expected.scores, expected.curve)
    assert len({trial.architecture.id for trial in trials}) == TRIALS


@every_way
def test_workers_and_their_order_do_not_matter(searched, strategy, fidelity):
    how = {"strategy": strategy, "fidelity": fidelity}
    alone = outline(searched("a", **how, driver=InProcess(score_or_fail)))
    for number, workers in enumerate((2, 3, 9)):
        driver = InProcess(score_or_fail, workers=workers, seed=number)
        together = outline(searched(f"b{number}", **how, driver=driver))
        assert together == alone


@every_way
@pytest.mark.parametrize("kills", [(0,), (4,), (5, 0, 3, 5)], ids=str)
def test_killed_and_resumed_is_as_uninterrupted(searched, strategy, kills, fidelity):
    how = {"strategy": strategy, "fidelity": fidelity}
    whole = outline(searched("whole", **how, driver=InProcess(score_or_fail)))
    for index, dies_after in enumerate(kills):
        driver = InProcess(score_or_fail, workers=2, seed=index, dies_after=dies_after)
        with pytest.raises(KeyboardInterrupt):
            searched("killed", **how, driver=driver)
    resumed = searched("killed", **how, driver=InProcess(score_or_fail, workers=3))
    assert outline(resumed) == whole


def test_what_had_ended_is_not_run_again(searched):
    first = InProcess(dies_after=6)
    with pytest.raises(KeyboardInterrupt):
        searched(driver=first)
    second = InProcess()
    searched(driver=second)
    ended = first.taken[:6]
    assert sorted(ended + second.taken) == list(range(TRIALS))
    third = InProcess()
    searched(driver=third)
    assert third.taken == []


def test_more_trials_go_on_from_there(searched):
    """Asking for more is as having asked for more at once, wherever the first search ended."""
    whole = outline(searched("whole", trials=TRIALS))
    for first in (1, 6, 8):
        searched(f"from{first}", trials=first)
        assert outline(searched(f"from{first}", trials=TRIALS)) == whole


def test_seeds_make_other_searches(searched):
    first, second = (
        {t.architecture.id for t in searched(f"run{seed}", seed=seed)} for seed in (0, 1)
    )
    assert first != second


def test_failures_are_recorded_and_the_search_goes_on(searched):
    callback = Recording()
    trials = searched(driver=InProcess(score_or_fail), callback=callback)
    assert len(trials) == TRIALS
    for trial in trials:
        if trial.number % 5 == 2:
            assert trial.reason == "training failed: the loss became nan at step 3"
        elif trial.number % 5 == 4:
            assert trial.reason == "psnr_y is nan"
        assert trial.state == ("failed" if trial.number % 5 in (2, 4) else "finished")
    assert sorted(t.number for t in callback.trials) == list(range(TRIALS))


def test_a_failure_is_told_to_the_strategy(searched):
    """A strategy that took a failure for a score would go another way."""
    plain = searched("a")
    failing = searched("b", driver=InProcess(score_or_fail))
    assert outline(plain)[:2] == outline(failing)[:2]
    assert [t.architecture.id for t in plain] != [t.architecture.id for t in failing]


def test_the_largest_candidate_of_a_generation_starts_first(searched):
    driver = InProcess()
    trials = searched(driver=driver, trials=4)
    assert driver.taken == sorted(range(4), key=lambda number: -trials[number].cost["macs"])


def test_with_a_deadline_the_smallest_starts_first(searched):
    """More of a generation then ends in time."""
    driver = InProcess()
    trials = searched(driver=driver, trials=4, deadline=time.monotonic() + 3600)
    assert driver.taken == sorted(range(4), key=lambda number: trials[number].cost["macs"])


@pytest.fixture
def learn(prior_of, trained_table):
    """A prior learns from its run, so each has its own."""
    return lambda: prior_of(trained_table[:60])


def test_with_a_prior_the_most_promising_starts_first(searched, learn):
    driver, deadline = InProcess(), time.monotonic() + 3600
    searched(driver=driver, trials=4, deadline=deadline, strategy="guided", learn=learn)
    assert driver.taken == [0, 1, 2, 3]


def test_a_prior_proposes_the_same_whoever_works_and_after_kills(searched, learn):
    how = {"strategy": "guided", "learn": learn, "trials": 12}
    whole = outline(searched("whole", **how))
    assert outline(searched("three", **how, driver=InProcess(workers=3, seed=1))) == whole
    for dies_after in (5, 3):
        with pytest.raises(KeyboardInterrupt):
            searched("killed", **how, driver=InProcess(dies_after=dies_after))
    assert outline(searched("killed", **how)) == whole
    searched("from6", **{**how, "trials": 6})
    assert outline(searched("from6", **how)) == whole


def test_after_the_deadline_one_trial_runs_and_no_other(searched):
    """Else there would be nothing to hand over."""
    callback = Recording()
    trials = searched(trials=8, deadline=time.monotonic() - 1, callback=callback)
    assert [trial.state for trial in trials].count("finished") == 1
    reasons = [trial.reason for trial in trials if trial.state == "failed"]
    assert reasons == ["not started: the time was up"] * (len(trials) - 1)
    assert callback.notes == [f"time is up after {len(trials)} trials"]


def test_what_would_not_be_over_by_the_deadline_is_not_begun(searched):
    def long(job):
        return replace(score_by_size(job), seconds=1000.0)

    driver = InProcess(long)
    trials = searched(driver=driver, trials=4, deadline=time.monotonic() + 30)
    assert len(driver.taken) == 1  # how long a training takes is not known before
    reasons = [trial.reason for trial in trials if trial.state == "failed"]
    assert reasons == ["not started: the time was up"] * 3


def test_the_deadline_cuts_a_generation(searched):
    """What was proposed and not started is a failure with its reason; what runs may end."""

    def slow(job):
        time.sleep(0.3)
        return score_by_size(job)

    callback = Recording()
    driver = InProcess(slow)
    trials = searched(driver=driver, deadline=time.monotonic() + 0.5, callback=callback)
    states = {trial.state for trial in trials}
    assert len(trials) == 4
    assert len(driver.taken) < 4
    assert states <= {"finished", "failed"}
    not_started = [t for t in trials if t.number not in driver.taken]
    assert {t.reason for t in not_started} == {"not started: the time was up"}
    assert callback.notes == ["time is up after 4 trials"]


def test_patience_ends_a_search_that_gains_nothing(searched):
    """Counted in the order of the numbers and asked between generations."""

    def first_is_best(job):
        value = 40.0 if job.number == 0 else 20.0
        return Outcome(number=job.number, scores={"psnr_y": value})

    for workers in (1, 3):
        callback = Recording()
        driver = InProcess(first_is_best, workers=workers, seed=workers)
        trials = searched(
            f"run{workers}", driver=driver, patience=6, callback=callback, objectives=(PSNR,)
        )
        assert len(trials) == 8  # after 4, 3 of them without gain; after 8, 7
        assert callback.notes == ["the front has gained nothing for 7 trials: enough after 8"]
        again = Recording()
        resumed = searched(f"run{workers}", patience=6, callback=again, objectives=(PSNR,))
        assert (outline(resumed), again.notes) == (outline(trials), callback.notes)


def test_patience_is_not_lost_on_a_search_that_gains(searched):
    def better_and_better(job):
        return Outcome(number=job.number, scores={"psnr_y": 20.0 + job.number})

    trials = searched(driver=InProcess(better_and_better), patience=1)
    assert len(trials) == TRIALS


@pytest.mark.parametrize("workers", [1, 3])
def test_stopped_by_the_user_and_resumed_is_as_uninterrupted(searched, workers):
    """What runs is finished, nothing else is started, and the rest waits for the next time."""
    whole = outline(searched("whole", driver=InProcess(score_or_fail)))
    asked = []
    driver = InProcess(score_or_fail, workers=workers, seed=1)

    def stop():
        asked.append(len(driver.taken))
        return len(driver.taken) >= 6

    stopped = searched("stopped", driver=driver, stop=stop)
    assert len(driver.taken) == 6
    ended = [trial.number for trial in stopped if trial.state != "running"]
    assert sorted(ended) == sorted(driver.taken)
    assert len(stopped) == 8
    assert outline(searched("stopped", driver=InProcess(score_or_fail))) == whole


def test_a_space_that_runs_out_ends_the_search_early(searched, few_candidates):
    limit = sorted(c.cost.params for c in few_candidates)[5]
    callback = Recording()
    trials = searched(space="few", budget=str(limit), trials=40, generation=2, callback=callback)
    assert len(trials) == len([c for c in few_candidates if c.cost.params <= limit])
    assert len(callback.notes) == 1
    assert callback.notes[0].startswith("the search ends early: no new architecture within budget")


def test_a_space_smaller_than_a_generation_is_tried_whole(searched, few_candidates):
    limit = sorted(c.cost.params for c in few_candidates)[4]
    there = {c.architecture.id for c in few_candidates if c.cost.params <= limit}
    trials = searched(space="few", budget=str(limit), trials=40, generation=8)
    assert {trial.architecture.id for trial in trials} == there


def test_a_run_of_another_version_is_not_continued(searched):
    with pytest.raises(KeyboardInterrupt):
        searched(driver=InProcess(dies_after=3))
    with pytest.raises(
        SearchError,
        match=r"trial 0 was \w{12}, but this program proposes \w{12}: .*another version",
    ):
        searched(seed=1)


def test_nothing_is_lost_when_a_run_of_another_version_is_refused(searched):
    before = outline(searched(trials=8))
    with pytest.raises(SearchError, match="another version"):
        searched(seed=1)
    assert outline(searched(trials=8)) == before


def test_what_does_badly_is_stopped_on_its_way(searched):
    driver = InProcess()
    trials = searched(fidelity="asha", trials=24, driver=driver)
    by_state = {state: [t for t in trials if t.state == state] for state in ("finished", "stopped")}
    assert len(by_state["finished"]) + len(by_state["stopped"]) == 24
    assert min(map(len, by_state.values())) >= 4
    for trial in by_state["stopped"]:
        step, scores = trial.rungs[-1]
        assert step in (1, 3)
        assert trial.scores == scores == {"psnr_y": trial.curve[-1][1]}
        assert trial.curve[-1][0] == step
        assert re.fullmatch(rf"stopped at step {step}: \d+ of \d+ did better", trial.reason)
    for trial in by_state["finished"]:
        assert [step for step, _ in trial.rungs] == [1, 3]
        assert trial.curve[-1][0] == STEPS
        assert trial.reason is None
        assert trial.seconds == pytest.approx(0.3)
    jobs = sum(len(t.rungs) + (t.state == "finished") for t in trials)
    assert len(driver.taken) == jobs


def test_a_stopped_trial_leaves_no_state_behind(searched, tmp_path, monkeypatch):
    plain = job_for

    def with_state(number, candidate, until):
        return replace(plain(number, candidate, until), state=tmp_path / f"{number}.state")

    def write(job):
        (job.state.touch if job.pauses else job.state.unlink)()
        return score_by_size(job)

    monkeypatch.setitem(globals(), "job_for", with_state)
    with pytest.raises(KeyboardInterrupt):
        searched("run", fidelity="asha", driver=InProcess(write, dies_after=9))
    assert list(tmp_path.glob("*.state"))
    searched("run", fidelity="asha", driver=InProcess(write))
    assert not list(tmp_path.glob("*.state"))


def test_the_deadline_stops_trials_at_their_rung(searched):
    def slow(job):
        time.sleep(0.2)
        return score_by_size(job)

    driver = InProcess(slow)
    trials = searched(fidelity="asha", driver=driver, deadline=time.monotonic() + 0.7)
    at_rung = [t for t in trials if t.state == "stopped" and "the time was up" in t.reason]
    assert all(t.rungs for t in at_rung)
    assert {t.state for t in trials} <= {"finished", "stopped", "failed"}
    assert len(driver.taken) < 12


def test_a_nan_at_a_rung_is_a_failure(searched):
    def work(job):
        outcome = score_by_size(job)
        return replace(outcome, scores={"psnr_y": math.nan}) if job.number == 1 else outcome

    trial = searched(fidelity="asha", trials=4, driver=InProcess(work))[1]
    assert (trial.state, trial.reason, trial.rungs) == ("failed", "psnr_y is nan", ())


def idle_after(values):
    idle_trials, idle = IdleTrials((PSNR, MACS)), []
    for point in values:
        idle_trials.observe(point)
        idle.append(idle_trials.count)
    return idle


def test_gain_is_what_makes_the_hypervolume_grow():
    values = [(30, 9), (31, 9), (31, 9), (29, 9), (30, 4), (30, 5), (28, 3), (31, 4), (32, 1)]
    points = [minimised((PSNR, MACS), point) for point in values]
    volumes = [hypervolume(points[: n + 1], (0.0, 10.0)) for n in range(len(points))]
    grew = [now > before for before, now in zip([0.0, *volumes], volumes, strict=False)]
    assert [idle == 0 for idle in idle_after(values)] == grew
    assert idle_after(values) == [0, 0, 1, 2, 0, 1, 0, 0, 0]


def test_failures_are_no_gain():
    assert idle_after([None, (30, 9), None, None, (math.nan, 1)]) == [1, 0, 1, 2, 3]
