"""A search on a cluster that is only simulated: where does the driver become the limit?

Nothing is trained. The driver is the real one (loop, strategy, record on the disk) and its work is
timed on the processor; the workers are a heap of moments at which their trials end. What the driver
takes is put on the same clock, so workers wait for it as they would on a real cluster.
"""

from __future__ import annotations

import heapq
import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.overhead import NoWork, no_job
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.objectives import Objective
from results.study import Record
from search.callbacks import Silent
from search.feasible.space import Feasible
from search.jobs import Job, Outcome
from search.loop import Limits, search
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario


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

    @property
    def trials(self) -> int:
        """Of the whole search."""
        return self.generation * self.generations

    def seconds(self, number: int) -> float:
        """What trial `number` takes: log-normal, with `trial_s` as its mean."""
        rng = random.Random(derive(self.seed, "duration", number))
        return self.trial_s * rng.lognormvariate(-self.spread * self.spread / 2, self.spread)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a simulated search took.

    Attributes:
        shape: what was simulated.
        seconds: on the simulated clock.
        work_s: of all trials together.
        undriven_s: what the same trials in the same order would take were the driver to cost
            nothing: the rest of the waiting is for the end of generations.
        driver_s: the driver's own seconds, on the processor.
        wall_s: the same by the clock on the wall, waiting for the disk and for other programs.
    """

    shape: Shape
    seconds: float
    work_s: float
    undriven_s: float
    driver_s: float
    wall_s: float

    @property
    def rate(self) -> float:
        """Trials per second."""
        return self.shape.trials / self.seconds

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that is training."""
        return self.work_s / (self.shape.workers * self.seconds)

    @property
    def barrier_efficiency(self) -> float:
        """The same, were the driver to cost nothing."""
        return self.work_s / (self.shape.workers * self.undriven_s)

    @property
    def driver_busy(self) -> float:
        """Share of the time that the driver works."""
        return self.driver_s / self.seconds

    @property
    def trial_driver_s(self) -> float:
        """The driver's seconds for one trial."""
        return self.driver_s / self.shape.trials

    @property
    def limit(self) -> float:
        """Trials per second that the driver could serve if it did nothing else."""
        return 1 / self.trial_driver_s


class SimulatedCluster:
    """An engine whose workers take simulated seconds, and whose driver's real ones are added.

    Attributes:
        now: the simulated clock, in seconds.
        undriven: the same clock for a driver that takes no time.
        work: seconds of all trials so far.
        driver: the driver's seconds so far.
    """

    def __init__(self, shape: Shape) -> None:
        """Start the clock."""
        self._shape = shape
        self._outcomes = NoWork()
        self.now = self.undriven = self.work = self.driver = 0.0
        self._mark = time.process_time()

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """An outcome for each job when its simulated training has ended."""
        queue = iter(jobs)
        running: list[tuple[float, int, Job]] = []
        free = [self.undriven] * self._shape.workers
        self._charge()  # for what was done since the last generation: observed, proposed, begun
        while True:
            while len(running) < self._shape.workers and (job := next(queue, None)) is not None:
                self._charge(self._shape.handling_s)
                seconds = self._shape.seconds(job.number)
                self.work += seconds
                heapq.heappush(running, (self.now + seconds, job.number, job))
                self.undriven = max(self.undriven, _assign(free, seconds))
            if not running:
                return
            end, _, job = heapq.heappop(running)
            self.now = max(self.now, end)
            self._mark = time.process_time()
            yield from self._outcomes.run([job])
            self._charge()

    def _charge(self, more: float = 0.0) -> None:
        """Put the driver's work since the last mark on the clock."""
        spent = time.process_time() - self._mark + more
        self.now += spent
        self.driver += spent
        self._mark = time.process_time()


def _assign(free: list[float], seconds: float) -> float:
    """Give a trial to the worker that is free first; when it ends."""
    end = free[0] + seconds
    heapq.heapreplace(free, end)
    return end


def simulate(
    feasible: Feasible,
    objectives: tuple[Objective, ...],
    strategy: str,
    shape: Shape,
    folder: Path,
) -> Simulated:
    """Search in `folder` on a simulated cluster.

    Pricing the parts of the space, once for all searches, is not counted.
    """
    feasible.check()
    setting = Scenario(feasible, objectives, shape.generation, shape.seed)
    proposer = STRATEGIES[strategy](setting)
    with Record.create(folder, objectives, feasible.space.distributions()) as record:
        begun = time.perf_counter()
        cluster = SimulatedCluster(shape)
        search(
            proposer,
            record,
            cluster,
            lambda number, candidate, _: no_job(number, candidate, shape.seed),
            Limits(shape.trials, shape.generation, math.inf),
            Silent(),
            rungs_for("none", PROXY.steps),
        )
    return Simulated(
        shape=shape,
        seconds=cluster.now,
        work_s=cluster.work,
        undriven_s=cluster.undriven,
        driver_s=cluster.driver,
        wall_s=time.perf_counter() - begun,
    )
