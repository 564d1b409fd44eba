"""The search itself: propose a generation, evaluate it, observe it, until a limit is reached.

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
from results.study import Record
from search.evaluators.job import Job, Outcome
from search.feasible import Candidate
from search.listener import Listener
from search.stopping import Progress, Stop, never
from search.strategies import Strategy


class Engine(Protocol):
    """Whatever runs jobs: local processes, a cluster."""

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Outcomes as they come; a job is taken only when there is room for it."""
        ...


MakeJob = Callable[[int, Candidate], Job]


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        trials: how many there may be.
        generation: how many are proposed together.
        deadline: on `time.monotonic`'s clock; nothing is started after it.
        patience: trials without gain for the front after which a generation is the last; 0 is off.
        stop: asked before anything is started.
    """

    trials: int
    generation: int
    deadline: float
    patience: int = 0
    stop: Stop = never

    def reached(self, trials: int, idle: int) -> str | None:
        """Why no generation may follow the first `trials`, the last `idle` of them without gain."""
        if self.patience and idle >= self.patience:
            return f"the front has gained nothing for {idle} trials: enough after {trials}"
        if time.monotonic() > self.deadline:
            return f"time is up after {trials} trials"
        return None


def search(
    strategy: Strategy,
    record: Record,
    engine: Engine,
    make_job: MakeJob,
    limits: Limits,
    listener: Listener,
) -> None:
    """Fill `record` with trials until a limit is reached or nothing new is left.

    Trials that were begun and not started when the user stopped it stay "running" in the record:
    the next search in it takes them up.
    """
    progress = Progress(record.objectives)
    for first in range(0, limits.trials, limits.generation):
        numbers = range(first, min(first + limits.generation, limits.trials))
        if limits.stop():
            return
        why = limits.reached(first, progress.idle)
        if why is not None and first >= len(record):
            listener.note(why)
            return
        candidates = _propose(strategy, numbers, listener)
        _check_replay(candidates, record)
        _evaluate(candidates, record, engine, make_job, limits, listener)
        for number in candidates:
            trial = record.trial(number)
            if trial.state == "running":
                return
            values = values_of(record.objectives, trial.scores, trial.cost)
            observed = values if trial.state == "finished" else None
            strategy.observe(number, observed)
            progress.observe(observed)
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
    known = len(record)
    waiting = [n for n in candidates if n >= known or record.trial(n).state == "running"]
    for number in waiting:
        candidate = candidates[number]
        record.begin(number, candidate.architecture, candidate.choices, candidate.cost.to_plain())
    # The largest first: the workers then finish a generation at about the same time.
    waiting.sort(key=lambda number: -candidates[number].cost.macs)

    def jobs() -> Iterator[Job]:
        for number in waiting:
            if time.monotonic() < limits.deadline and not limits.stop():
                yield make_job(number, candidates[number])

    for job, outcome in engine.run(jobs()):
        if outcome.reason is None:
            record.finish(job.number, outcome.scores, outcome.curve, outcome.seconds)
        else:
            record.fail(job.number, outcome.reason, seconds=outcome.seconds, memory=outcome.memory)
        listener.trial(record.trial(job.number))
    for number in waiting:
        if not limits.stop() and record.trial(number).state == "running":
            record.fail(number, "not started: the time was up")


def _check_replay(candidates: dict[int, Candidate], record: Record) -> None:
    """A resumed search must propose what it proposed before."""
    known = len(record)
    for number, candidate in candidates.items():
        if number >= known:
            return
        then = record.trial(number).architecture
        if then != candidate.architecture:
            raise SearchError(
                f"trial {number} was {then.id}, but this program proposes "
                f"{candidate.architecture.id}: the run was made by another version; its report "
                f"still works, its search cannot go on"
            )
