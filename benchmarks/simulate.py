"""A search on a cluster that is only simulated: where does the driver become the limit?

Nothing is trained. The driver is the real one (loop, strategy, record on the disk) and its work is
timed on the processor; the workers are a heap of moments at which their trials end. What the driver
takes is put on the same clock, so workers wait for it as they would on a real cluster.
"""

import heapq
import math
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import harness
from benchmarks.harness import Out, Row
from benchmarks.options import whole
from benchmarks.overhead import default_feasible, no_job, no_work
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.objectives import Objective
from results.study import Record
from search.config import SearchConfig, known, parse_duration
from search.feasible.space import Feasible
from search.jobs import Job, JobSource, Silent
from search.loop import Limits, Search
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario

DEFAULT = SearchConfig().search
COLUMNS = (
    *("strategy", "workers:", "generation:", "trials:", "trials/s:", "ideal:", "busy:"),
    *("busy, free driver:", "driver busy:", "CPU ms a trial:", "wall ms:", "driver's limit:"),
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is simulated.

    Attributes:
        workers: that train at the same time.
        generation: candidates proposed together.
        generations: of the whole search.
        trial_s: mean seconds of a trial.
        spread: standard deviation of the logarithm of those seconds; 0 makes all trials equal.
        handling_s: seconds that the engine itself takes on the driver for a trial.
        seed: decides the seconds and the proposals.
    """

    workers: int
    generation: int
    generations: int = 4
    trial_s: float = 60.0
    spread: float = 0.4
    handling_s: float = 0.0
    seed: int = 0

    def seconds(self, number: int) -> float:
        """Return what trial `number` takes: log-normal, with `trial_s` as its mean."""
        rng = random.Random(derive(self.seed, "duration", number))
        return self.trial_s * rng.lognormvariate(-self.spread * self.spread / 2, self.spread)


class SimulatedCluster:
    """A driver whose workers take simulated seconds, and whose own real ones are added.

    Attributes:
        now: the simulated clock, in seconds.
        undriven: the same clock for a driver that takes no time.
        work: seconds of all trials so far.
        driver: the driver's seconds so far.
    """

    def __init__(self, shape: Shape) -> None:
        """Start the clock."""
        self._shape = shape
        self.now = self.undriven = self.work = self.driver = 0.0
        self._mark = time.process_time()

    def drive(self, source: JobSource) -> None:
        """Take jobs and report their outcomes when their simulated trainings have ended."""
        running: list[tuple[float, int, Job]] = []
        free: list[float] = []
        while True:
            if not running:  # a generation begins: all wait for it
                free = [self.undriven] * self._shape.workers
            while len(running) < self._shape.workers and (job := source.ask()) is not None:
                self._charge(self._shape.handling_s)
                seconds = self._shape.seconds(job.number)
                self.work += seconds
                heapq.heappush(running, (self.now + seconds, job.number, job))
                # the worker that is free first takes the trial
                self.undriven = max(self.undriven, free[0] + seconds)
                heapq.heapreplace(free, free[0] + seconds)
            if not running:
                return
            end, _, job = heapq.heappop(running)
            self.now = max(self.now, end)
            self._mark = time.process_time()
            source.tell(job, no_work(job))
            self._charge()

    def _charge(self, more: float = 0.0) -> None:
        """Put the driver's work since the last mark on the clock."""
        spent = time.process_time() - self._mark + more
        self.now += spent
        self.driver += spent
        self._mark = time.process_time()


def run(
    feasible: Feasible,
    objectives: tuple[Objective, ...],
    strategy: str,
    shape: Shape,
    folder: Path,
) -> Row:
    """Search in `folder` on a simulated cluster.

    Pricing the parts of the space, once for all searches, is not counted.

    Returns:
        `seconds` on the simulated clock, `undriven_s` were the driver to cost nothing, `work_s` of
        all trials together, and the driver's own: `driver_s` on the processor and `wall_s`.
    """
    feasible.check()
    setting = Scenario(feasible, objectives, shape.generation, shape.seed)
    proposer = STRATEGIES[strategy](setting)
    with Record.create(folder, objectives, feasible.space.distributions()) as record:
        begun = time.perf_counter()
        cluster = SimulatedCluster(shape)
        search = Search(
            proposer,
            record,
            lambda number, candidate, _: no_job(number, candidate, shape.seed),
            Limits(shape.generation * shape.generations, shape.generation, math.inf),
            Silent(),
            rungs_for("none", PROXY.steps),
        )
        cluster.drive(search)
    return {
        "seconds": cluster.now,
        "undriven_s": cluster.undriven,
        "work_s": cluster.work,
        "driver_s": cluster.driver,
        "wall_s": time.perf_counter() - begun,
    }


def simulate(
    workers: Annotated[str, typer.Option(help="How many, joined by commas.")] = "8,64,256,1024",
    strategies: Annotated[str, typer.Option(help="Who proposes, joined by commas.")] = "nsga2",
    generation: Annotated[
        str, typer.Option(help="Its size: a number, or 1x, 4x the workers; joined by commas.")
    ] = "1x,4x",
    generations: Annotated[int, typer.Option(help="Of each search.", min=1)] = 4,
    trial: Annotated[str, typer.Option(help="Mean time of a trial.")] = "60s",
    spread: Annotated[
        float, typer.Option(help="Of the logarithm of that time; 0: all equal.", min=0, max=3)
    ] = 0.4,
    handling: Annotated[
        float, typer.Option(help="Milliseconds a trial that the engine takes on the driver.", min=0)
    ] = 0.0,
    budget: Annotated[str, typer.Option(help="Limits of the networks.")] = DEFAULT.budget,
    space: Annotated[str, typer.Option(help="Where networks come from.")] = DEFAULT.space,
    seed: Annotated[int, typer.Option(help="Decides the proposals and the times.")] = 0,
    out: Out = None,
) -> None:
    """Where is the driver the limit? The real one, simulated workers, a clock that is advanced.

    Example:  python -m benchmarks simulate --workers 256,1024 --strategies nsga2,evolution
    """
    torch.set_num_threads(1)
    names, shapes = strategies.split(","), list(_shapes(workers, generation))
    for name in names:
        known("strategy", name, STRATEGIES)
    feasible, objectives = default_feasible(space, budget)
    cells: list[list[str]] = []
    for name in names:
        for plain in shapes:
            shape = replace(
                plain,
                generations=generations,
                trial_s=parse_duration(trial),
                spread=spread,
                handling_s=handling / 1000,
                seed=seed,
            )
            with tempfile.TemporaryDirectory() as folder:
                row = run(feasible, objectives, name, shape, Path(folder) / "run")
            cells.append([name, *_cells(shape, row)])
            harness.log(" ".join(cells[-1]))
    harness.publish("## Simulation", harness.table(COLUMNS, cells), out)


def _shapes(workers: str, generation: str) -> Iterator[Shape]:
    """Yield workers and candidates of a generation, each with each."""
    for count in (whole("--workers", text) for text in workers.split(",")):
        for text in generation.split(","):
            each = text.strip().endswith("x")
            many = whole("--generation", text.strip().removesuffix("x"))
            yield Shape(workers=count, generation=max(2, many * count if each else many))


def _cells(shape: Shape, row: Row) -> Iterator[str]:
    trials = shape.generation * shape.generations
    yield from (f"{shape.workers:,}", f"{shape.generation:,}", f"{trials:,}")
    yield from (f"{trials / row['seconds']:.2f}", f"{shape.workers / shape.trial_s:.2f}")
    each_s = row["work_s"] / shape.workers
    yield from (f"{each_s / row[clock]:.1%}" for clock in ("seconds", "undriven_s"))
    yield f"{row['driver_s'] / row['seconds']:.1%}"
    yield from (f"{1000 * row[clock] / trials:.1f}" for clock in ("driver_s", "wall_s"))
    yield f"{trials / row['driver_s']:,.0f}/s"
