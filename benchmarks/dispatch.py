"""What a trial costs on a cluster beside its training, and whether more workers do more."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.harness import Row, log
from benchmarks.overhead import no_job
from benchmarks.table import OBJECTIVES
from budgets.budget import Budget, Size
from lightir_core.learning.recipe import PROXY
from results.study import Record
from search.engines.ray_nodes import connected, import_ray
from search.engines.ray_tune import RayDriver, WorkerSpec
from search.feasible.space import Feasible
from search.jobs import Job, JobQueue, JobSource, Outcome, Silent
from search.loop import Limits, Search
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario
from spaces import TaskShape, find_space

GENERATIONS = 4
"""Of each search: the workers wait for each other, and for proposals, so often."""

TRIALS_EACH = 16
"""Of the scaling: trials for each worker."""

PENDING = "TUNE_MAX_PENDING_TRIALS_PG"
LOUD = (PENDING, "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_GLOBAL_CHECKPOINT_S")
"""Switches that plain Ray Tune does not have set."""


def nap(seconds: float, job: Job) -> Outcome:
    """Return a score that depends on the architecture alone, after a sleep."""
    time.sleep(seconds)
    score = int(job.architecture.id, 16) / 16**12
    return Outcome(number=job.number, scores={"psnr_y": score}, curve=((1, score),))


def rates(counts: Sequence[int], workers: int, limit_s: float) -> Iterator[Row]:
    """Yield no-op trials: plain Ray Tune, what helps it, and ours, all in one cluster.

    Args:
        counts: how many, one number after the other.
        workers: at the same time.
        limit_s: Ray Tune by itself is stopped after so long; `done` says how many it did.
    """
    with connected(None, cpus=workers):
        for count in counts:
            for how, run in WAYS.items():
                done, seconds = run(count, workers, limit_s)
                each_s = seconds / max(1, done)
                log(f"{count} no-op trials, {how}: {done} at {each_s:.4f} s each")
                yield {"how": how, "asked": count, "done": done, "each_s": each_s}


def scaling(workers: Sequence[int], sleep_s: float) -> Iterator[Row]:
    """Yield searches whose trials sleep, with more and more workers; that needs no processor."""
    with connected(None, cpus=max(workers)):
        for count in workers:
            trials = TRIALS_EACH * count
            driver = RayDriver(partial(nap, sleep_s), WorkerSpec(count))
            with _nsga2(trials) as search:
                sources = _Timed(JobQueue(_jobs(trials))), _Timed(search)
                for source in sources:
                    driver.drive(source)
                times = [source.seconds + sleep_s for source in sources]
            log(f"{count} workers: {trials} trials in {times[0]:.1f} and {times[1]:.1f} s")
            row = {"workers": count, "trials": trials, "sleep_s": sleep_s}
            yield row | {"seconds": times[0], "search_s": times[1]}


def _plain(
    count: int, workers: int, limit_s: float, *, loud: bool = False, reuse: bool = False
) -> tuple[int, float]:
    """Trials that Ray Tune ends within a limit, one of its own for each, and the seconds."""
    import_ray()
    from ray import tune

    def trial(config: dict[str, Any]) -> None:
        tune.report({"score": config["x"]})

    with tempfile.TemporaryDirectory() as folder, _switched_off(LOUD if loud else (PENDING,)):
        begun = time.monotonic()
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(
                num_samples=count,
                max_concurrent_trials=workers,
                reuse_actors=reuse,
                time_budget_s=limit_s,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        seconds = time.monotonic() - begun
        done = sum(bool(result.metrics and "score" in result.metrics) for result in results)
        return done, seconds


class _Timed:
    """A source of jobs that times what is asked of it.

    Attributes:
        moments: when outcomes came.
    """

    def __init__(self, source: JobSource) -> None:
        self._source = source
        self.moments: list[float] = []

    def ask(self) -> Job | None:
        """Return the next job."""
        return self._source.ask()

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Take in an outcome, and the moment."""
        self._source.tell(job, outcome)
        self.moments.append(time.monotonic())

    @property
    def seconds(self) -> float:
        """Return the time between the first outcome and the last."""
        return self.moments[-1] - self.moments[0]


def _started(count: int, workers: int, limit_s: float) -> tuple[int, float]:
    """Return seconds of our driver with the start and the end of its processes."""
    queue = JobQueue(_jobs(count))
    begun = time.monotonic()
    RayDriver(partial(nap, 0.0), WorkerSpec(workers)).drive(queue)
    assert len(queue.outcomes) == count
    return count, time.monotonic() - begun


def _alone(count: int, workers: int, limit_s: float) -> tuple[int, float]:
    """Return seconds from the first outcome to the last."""
    timed = _Timed(JobQueue(_jobs(count)))
    RayDriver(partial(nap, 0.0), WorkerSpec(workers)).drive(timed)
    assert len(timed.moments) == count
    return count, timed.seconds


def _whole(count: int, workers: int, limit_s: float) -> tuple[int, float]:
    """Return seconds of a whole search, from its first outcome to its last."""
    with _nsga2(count) as search:
        timed = _Timed(search)
        RayDriver(partial(nap, 0.0), WorkerSpec(workers)).drive(timed)
    assert len(timed.moments) == count
    return count, timed.seconds


WAYS: dict[str, Callable[[int, int, float], tuple[int, float]]] = {
    "plain Ray Tune": partial(_plain, loud=True),
    "... loggers off, snapshots rare": _plain,
    "... and actors reused": partial(_plain, reuse=True),
    "ours, its start included": _started,
    "ours, once started": _alone,
    "ours, a whole search": _whole,
}
"""From what Ray Tune does by itself to what we do with it."""


@contextmanager
def _nsga2(trials: int) -> Iterator[Search]:
    """Yield a search whose space is priced already."""
    generation = max(2, trials // GENERATIONS)
    scenario = Scenario(_feasible(), OBJECTIVES, generation, 0)
    with tempfile.TemporaryDirectory() as folder:
        dimensions = scenario.feasible.space.distributions()
        with Record.create(Path(folder) / "run", OBJECTIVES, dimensions) as record:
            yield Search(
                STRATEGIES["nsga2"](scenario),
                record,
                lambda number, candidate, until: no_job(number, candidate, 0, until),
                Limits(trials, generation, float("inf")),
                Silent(),
                rungs_for("none", PROXY.steps),
            )


@cache
def _feasible() -> Feasible:
    feasible = Feasible(find_space("small"), TaskShape(2), Budget.parse("400k"), Size(720, 1280))
    feasible.check()
    return feasible


def _jobs(count: int) -> list[Job]:
    """Jobs of one network: nobody looks at it."""
    candidate = STRATEGIES["random"](Scenario(_feasible(), OBJECTIVES, 8, 0)).propose(0)
    return [no_job(number, candidate, 0) for number in range(count)]


@contextmanager
def _switched_off(names: Sequence[str]) -> Iterator[None]:
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def rates_document(rows: Sequence[Row], workers: int) -> list[str]:
    """Return the section on trials that do nothing, as Markdown."""
    by = {(row["how"], row["asked"]): row for row in rows}
    counts = sorted({row["asked"] for row in rows})
    cells = [
        [how, *(_cell(by[how, count]) for count in counts)]
        for how in dict.fromkeys(row["how"] for row in rows)
    ]
    return [
        f"{workers} workers, 2 cores; seconds a trial (trials per second), in one run. *Started*",
        "leaves out what Ray Tune takes to start processes, once in a search. Ray Tune by itself",
        "was stopped after a time; where that ended it, the number of trials it had done is given.",
        "",
        *harness.table(["", *(f"{count} trials:" for count in counts)], cells),
    ]


def _cell(row: Row) -> str:
    short = f", {row['done']} done" if row["done"] < row["asked"] else ""
    return f"{row['each_s']:.4f} s ({1 / row['each_s']:,.1f}/s{short})"


def scaling_document(rows: Sequence[Row]) -> list[str]:
    """Return the section on more and more workers, as Markdown."""
    cells: list[list[object]] = []
    for row in rows:
        ideal = row["trials"] * row["sleep_s"] / row["workers"]
        shares = ((f"{s:.1f} s", f"{ideal / s:.1%}") for s in (row["seconds"], row["search_s"]))
        both = [text for pair in shares for text in pair]
        cells.append([row["workers"], row["trials"], f"{ideal:.1f} s", *both])
    columns = ("workers", "trials", "ideal", "given at once", "efficiency", "search", "efficiency")
    return [
        f"Trials that sleep for {rows[0]['sleep_s']:g} s, {TRIALS_EACH} for each worker; the",
        "efficiency is the share of the workers' time in which they slept. Sleeping workers may",
        f"outnumber the 2 cores. *Search* is a whole one by nsga2 in {GENERATIONS} generations:",
        "proposals and the record are in it, and the wait for the last of each generation.",
        "",
        *harness.table([f"{column}:" for column in columns], cells),
    ]
