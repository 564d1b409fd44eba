"""The search itself: propose a generation, evaluate it, observe it, until a limit is reached.

A generation is proposed at once and observed in the order of its numbers, so that the outcome
does not depend on how many workers there are or which finishes first. After a kill the strategy
is brought back by replaying the record through it; what was running runs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

from lightir_core.errors import SearchError
from results.objectives import values_of
from results.study import Record
from search.callbacks import Callback
from search.evaluators.job import Job, Outcome
from search.feasible.space import Candidate
from search.rungs import Climb, Comparison, Rungs
from search.stopping import Progress, Stop, never
from search.strategies import Strategy


class Engine(Protocol):
    """Whatever runs jobs: local processes, a cluster."""

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """Outcomes as they come; a job is taken only when there is room for it.

        None in place of a job says that there is none before another outcome has been taken.
        """
        ...


MakeJob = Callable[[int, Candidate, int], Job]
"""The job that trains a candidate, by number, up to a step."""


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
    callback: Callback,
    rungs: Rungs,
) -> None:
    """Fill `record` with trials until a limit is reached or nothing new is left.

    A trial that is stopped at a rung counts for the strategy with what it scored there. Trials that
    were begun and not started when the user stopped it stay "running" in the record:
    the next search in it takes them up.
    """
    progress = Progress(record.objectives)
    comparison = Comparison(record.objectives, rungs)
    for first in range(0, limits.trials, limits.generation):
        numbers = range(first, min(first + limits.generation, limits.trials))
        if limits.stop():
            return
        why = limits.reached(first, progress.idle)
        if why is not None and first >= len(record):
            callback.note(why)
            return
        candidates = _propose(strategy, numbers, callback)
        _check_replay(candidates, record)
        climb = Climb(comparison, rungs, small_first=isfinite(limits.deadline))
        generation = _Generation(candidates, record, climb, make_job, callback)
        generation.run(engine, limits)
        for number in candidates:
            trial = record.trial(number)
            if trial.state == "running":
                return
            values = values_of(record.objectives, trial.scores, trial.cost)
            strategy.observe(number, None if trial.state == "failed" else values)
            progress.observe(values if trial.state == "finished" else None)
        if len(candidates) < len(numbers):
            return


def _propose(
    strategy: Strategy, numbers: Sequence[int], callback: Callback
) -> dict[int, Candidate]:
    """A candidate for each number; fewer, with a note, when the space runs out."""
    candidates: dict[int, Candidate] = {}
    for number in numbers:
        try:
            candidates[number] = strategy.propose(number)
        except SearchError as error:
            callback.note(f"the search ends early: {error}")
            break
    return candidates


class _Generation:
    """Candidates that were proposed together, while they are trained."""

    def __init__(
        self,
        candidates: dict[int, Candidate],
        record: Record,
        climb: Climb,
        make_job: MakeJob,
        callback: Callback,
    ) -> None:
        """Begin what is new, and take up what the record knows of the others."""
        self._candidates, self._record, self._climb = candidates, record, climb
        self._make_job, self._callback = make_job, callback
        for number in candidates:
            self._begin(number)

    def _begin(self, number: int) -> None:
        candidate = self._candidates[number]
        if number >= len(self._record):
            plain = candidate.cost.to_plain()
            self._record.begin(number, candidate.architecture, candidate.choices, plain)
        trial = self._record.trial(number)
        self._climb.start(number, candidate.cost.macs)
        for step, scores in trial.rungs:
            self._reach(number, step, scores)
        if trial.state != "running":
            self._climb.end(number)

    def run(self, engine: Engine, limits: Limits) -> None:
        """Train until all have ended or a limit is reached."""
        self._stop()
        for job, outcome in engine.run(self._jobs(limits)):
            self._take(job, outcome)
            self._stop()
        if limits.stop():
            return
        for number in self._candidates:
            trial = self._record.trial(number)
            if trial.state == "running" and trial.rungs:
                self._record.stop(number, f"stopped at step {trial.rungs[-1][0]}: the time was up")
            elif trial.state == "running":
                self._record.fail(number, "not started: the time was up")

    def _jobs(self, limits: Limits) -> Iterator[Job | None]:
        while not self._climb.over and time.monotonic() < limits.deadline and not limits.stop():
            found = self._climb.next()
            if found is None:
                yield None
            else:
                number, step = found
                yield self._make_job(number, self._candidates[number], step)

    def _take(self, job: Job, outcome: Outcome) -> None:
        """Write down what became of a job."""
        number, record = job.number, self._record
        if outcome.losses:
            record.lose(number, outcome.losses)
        if outcome.restart is not None:
            record.restart(number, outcome.restart)
        story = outcome.curve, outcome.seconds
        if outcome.reason is not None:
            record.fail(
                number,
                outcome.reason,
                curve=outcome.curve,
                seconds=outcome.seconds,
                memory=outcome.memory,
            )
            if job.state is not None:
                job.state.unlink(missing_ok=True)
        elif job.until is not None and job.pauses and all(map(isfinite, outcome.scores.values())):
            record.report(number, job.until, outcome.scores, *story)
            self._reach(number, job.until, outcome.scores)
            return
        else:
            record.finish(number, outcome.scores, *story)
        self._climb.end(number)
        self._callback.trial(record.trial(number))

    def _reach(self, number: int, step: int, scores: Mapping[str, float]) -> None:
        objectives, cost = self._record.objectives, self._record.trial(number).cost
        self._climb.reach(number, step, values_of(objectives, scores, cost))

    def _stop(self) -> None:
        """End the trials that go no further."""
        for number, step, reason in self._climb.stopped():
            self._record.stop(number, reason)
            state = self._make_job(number, self._candidates[number], step).state
            if state is not None:
                state.unlink(missing_ok=True)
            self._callback.trial(self._record.trial(number))


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
