"""What a search costs beside training: proposing, pricing and recording trials that do nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lightir_core.learning.recipe import PROXY
from results.objectives import Objective
from results.study import Record
from search.evaluators.job import Job, Outcome, Source
from search.feasible import Candidate, Feasible
from search.listener import Silent
from search.loop import Limits, search
from search.rungs import rungs_for
from search.seeds import derive
from search.strategies import STRATEGIES, Setting


@dataclass(frozen=True)
class Overhead:
    """Milliseconds per trial."""

    cpu_ms: float
    wall_ms: float


class NoWork:
    """An engine whose trials take no time; the score is a fixed function of the architecture."""

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """An outcome for each job, at once."""
        for job in filter(None, jobs):
            score = int(job.architecture.id, 16) / 16**12
            yield job, Outcome(number=job.number, scores={"psnr_y": score}, curve=((1, score),))


def measure(
    feasible: Feasible,
    objectives: tuple[Objective, ...],
    strategy: str,
    trials: int,
    folder: Path,
    seed: int,
) -> Overhead:
    """Run a search of no-op trials in `folder` and share its time out among them."""
    setting = Setting(feasible, objectives, generation=8, seed=seed)
    with Record.create(folder, objectives, feasible.space.distributions()) as record:
        cpu, wall = time.process_time(), time.perf_counter()
        search(
            STRATEGIES[strategy](setting),
            record,
            NoWork(),
            lambda number, candidate, _: no_job(number, candidate, seed),
            Limits(trials, setting.generation, float("inf")),
            Silent(),
            rungs_for("none", PROXY.steps),
        )
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Overhead(1000 * cpu / trials, 1000 * wall / trials)


def no_job(number: int, candidate: Candidate, seed: int) -> Job:
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
    )
