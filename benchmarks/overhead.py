"""What a search costs beside training: proposing, pricing and recording trials that do nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bare import SAMPLERS, BareSearch
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.objectives import Objective
from results.study import Record
from results.trials import Trial
from search.callbacks import Silent
from search.config import known
from search.feasible.space import Candidate, Feasible
from search.jobs import Job, Outcome, Source
from search.loop import Limits, search
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario

GENERATION = 8
WINDOW = 48
"""Trials before a checkpoint over which the cost of one is taken: the median of generations."""

CHECKPOINTS = (100, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one trial beside training: on the processor, and by the clock."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True)
class Pair:
    """What a trial costs after so many, here and in bare Optuna, measured in turns."""

    trials: int
    ours: Cost
    bare: Cost


class NoWork:
    """An engine whose trials take no time; the score is a fixed function of the architecture."""

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """An outcome for each job, at once."""
        for job in filter(None, jobs):
            score = int(job.architecture.id, 16) / 16**12
            yield job, Outcome(number=job.number, scores={"psnr_y": score}, curve=((1, score),))


def compare(
    feasible: Feasible,
    objectives: tuple[Objective, ...],
    strategy: str,
    trials: int,
    folder: Path,
    seed: int,
) -> list[Pair]:
    """Search with no-op trials in `folder`, a generation of ours and one of bare Optuna in turns.

    Raises:
        SearchError: a strategy that Optuna does not have.
    """
    known("strategy of Optuna", strategy, dict.fromkeys(SAMPLERS))
    setting = Scenario(feasible, objectives, GENERATION, seed)
    bare = BareSearch(feasible.space, strategy, GENERATION, seed, folder / "bare.journal")
    dimensions = feasible.space.distributions()
    with Record.create(folder / "run", objectives, dimensions) as record:
        turns = _Turns(bare)
        search(
            STRATEGIES[strategy](setting),
            record,
            NoWork(),
            lambda number, candidate, _: no_job(number, candidate, seed),
            Limits(trials, GENERATION, float("inf")),
            turns,
            rungs_for("none", PROXY.steps),
        )
    ends = sorted({*(n for n in CHECKPOINTS if n < trials), trials})
    return [Pair(end, _cost(turns.ours, end), _cost(turns.bare, end)) for end in ends]


class _Turns(Silent):
    """Measures our generations, and has bare Optuna make one after each.

    Attributes:
        ours: (CPU seconds, seconds) of each generation.
        bare: the same of bare Optuna's.
    """

    def __init__(self, bare: BareSearch) -> None:
        self.ours: list[tuple[float, float]] = []
        self.bare: list[tuple[float, float]] = []
        self._search = bare
        self._seen = 0
        self._begun = _clocks()

    def trial(self, trial: Trial) -> None:
        """The last trial of a generation ends our turn."""
        self._seen += 1
        if self._seen % GENERATION:
            return
        self.ours.append(_since(self._begun))
        begun = _clocks()
        for _ in range(GENERATION):
            self._search.step()
        self.bare.append(_since(begun))
        self._begun = _clocks()


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _since(begun: tuple[float, float]) -> tuple[float, float]:
    cpu, wall = _clocks()
    return cpu - begun[0], wall - begun[1]


def _cost(generations: Sequence[tuple[float, float]], end: int) -> Cost:
    window = generations[max(0, (end - WINDOW) // GENERATION) : -(-end // GENERATION)]
    cpu, wall = (statistics.median(times) for times in zip(*window, strict=True))
    return Cost(1000 * cpu / GENERATION, 1000 * wall / GENERATION)


def no_job(number: int, candidate: Candidate, seed: int, until: int | None = None) -> Job:
    """A job for an engine that does nothing with it."""
    from_nowhere = Path("unused")
    return Job(
        number=number,
        architecture=candidate.architecture,
        recipe=PROXY,
        source=Source(task="sr-x2"),
        seed=derive(seed, "train", number),
        device="cpu",
        weights=from_nowhere,
        until=until,
    )
