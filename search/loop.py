"""The search itself: propose a generation, evaluate it, observe it, until trials or time run out.

A generation is proposed at once and observed in the order of its numbers, so that the outcome
does not depend on how many workers there are or which finishes first. After a kill the strategy
is brought back by replaying the record through it; what was running runs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lightir_core.errors import SearchError
from results.objectives import values_of
from results.study import Record, Trial
from search.evaluators.job import Job, Outcome
from search.feasible import Candidate
from search.listener import Listener
from search.strategies import Strategy


class Engine(Protocol):
    """Whatever runs jobs: local processes, a cluster."""

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Outcomes as they come; a job is taken only when there is room for it."""
        ...


MakeJob = Callable[[int, Candidate], Job]


@dataclass(frozen=True)
class Limits:
    """When a search ends: after `trials`, or at `deadline` on `time.monotonic`'s clock."""

    trials: int
    generation: int
    deadline: float


def search(
    strategy: Strategy,
    record: Record,
    engine: Engine,
    make_job: MakeJob,
    limits: Limits,
    listener: Listener,
) -> None:
    """Fill `record` with trials until a limit is reached or nothing new is left."""
    for first in range(0, limits.trials, limits.generation):
        numbers = range(first, min(first + limits.generation, limits.trials))
        if time.monotonic() > limits.deadline and first >= len(record.trials()):
            listener.note(f"time is up after {first} trials")
            return
        candidates = _propose(strategy, numbers, listener)
        _check_replay(candidates, record.trials())
        _evaluate(candidates, record, engine, make_job, limits, listener)
        for number in candidates:
            trial = record.trials()[number]
            values = values_of(record.objectives, trial.scores, trial.cost)
            strategy.observe(number, values if trial.state == "finished" else None)
        if len(candidates) < len(numbers):
            return


def _propose(
    strategy: Strategy, numbers: Sequence[int], listener: Listener
) -> dict[int, Candidate]:
    """A candidate for each number; fewer, with a note, when the space runs out."""
    candidates: dict[int, Candidate] = {}
    for number in numbers:
        try:
            candidates[number] = strategy.propose(number)
        except SearchError as error:
            listener.note(f"the search ends early: {error}")
            break
    return candidates


def _evaluate(
    candidates: dict[int, Candidate],
    record: Record,
    engine: Engine,
    make_job: MakeJob,
    limits: Limits,
    listener: Listener,
) -> None:
    """Run the generation's trials that have not ended yet."""
    ended = {trial.number for trial in record.trials() if trial.state != "running"}
    waiting = [number for number in candidates if number not in ended]
    for number in waiting:
        candidate = candidates[number]
        record.begin(number, candidate.architecture, candidate.choices, candidate.cost.to_plain())
    # The largest first: the workers then finish a generation at about the same time.
    waiting.sort(key=lambda number: -candidates[number].cost.macs)

    def jobs() -> Iterator[Job]:
        for number in waiting:
            if time.monotonic() < limits.deadline:
                yield make_job(number, candidates[number])

    for job, outcome in engine.run(jobs()):
        if outcome.reason is None:
            record.finish(job.number, outcome.scores, outcome.curve, outcome.seconds)
        else:
            record.fail(job.number, outcome.reason, seconds=outcome.seconds)
        listener.trial(record.trials()[job.number])
    for number in waiting:
        if record.trials()[number].state == "running":
            record.fail(number, "not started: the time was up")


def _check_replay(candidates: dict[int, Candidate], trials: Sequence[Trial]) -> None:
    """A resumed search must propose what it proposed before."""
    for number, candidate in candidates.items():
        if number < len(trials) and trials[number].architecture != candidate.architecture:
            raise SearchError(
                f"trial {number} was {trials[number].architecture.id}, but this program proposes "
                f"{candidate.architecture.id}: the run was made by another version; its report "
                f"still works, its search cannot go on"
            )
