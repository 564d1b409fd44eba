"""The search: asked for jobs, told their outcomes, until a limit is reached.

    while job := search.ask():
        search.tell(job, score_candidate(job))

A generation is proposed at once and observed in the order of its numbers, so that the outcome
does not depend on how many workers there are or which finishes first. After a kill the strategy
is brought back by replaying the record through it; what was running runs again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

from lightir_core.errors import SearchError
from results.objectives import Objective, minimised, values_of
from results.pareto import Front
from results.study import Record
from search.feasible.candidate import Candidate
from search.jobs import Callback, Job, Outcome, Stop, never
from search.rungs import Climb, Comparison, Rungs
from search.strategies.strategy import Predictor, Strategy

MakeJob = Callable[[int, Candidate, int], Job]
"""Makes the job that trains a candidate, by number, up to a step."""


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        trials: how many there may be.
        generation: how many are proposed together.
        deadline: on `time.monotonic`'s clock; nothing is started that would not be over by then.
        patience: trials without gain for the front after which a generation is the last; 0 is off.
        stop: asked before anything is started.
    """

    trials: int
    generation: int
    deadline: float
    patience: int = 0
    stop: Stop = never

    def reached(self, trials: int, idle: int, *, late: bool) -> str | None:
        """Return why none may follow the first `trials`, the last `idle` of them without gain."""
        if self.patience and idle >= self.patience:
            return f"the front has gained nothing for {idle} trials: enough after {trials}"
        return f"time is up after {trials} trials" if late else None

    def allows(self, expected_s: float) -> bool:
        """Return whether what takes so long would be over by the deadline."""
        return time.monotonic() + expected_s <= self.deadline


class IdleTrials:
    """Counts the trials since the front last gained something.

    A point that joins the front without being on it already is exactly what makes the hypervolume
    grow, wherever the reference point lies behind the front; so no reference has to be chosen.
    Observed in the order of their numbers, trials give the same count for any number of workers.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        """Start without trials."""
        self._objectives = objectives
        self._front = Front()
        self.count = 0

    def observe(self, values: Sequence[float] | None) -> None:
        """Take in the next trial's objective values; None if it failed."""
        self.count += 1
        if values is None:
            return
        point = minimised(self._objectives, values)
        if point not in self._front.points and self._front.add(point):
            self.count = 0


class Search:
    """A search that fills a record with trials; a source of jobs.

    A trial that is stopped at a rung counts for the strategy with what it scored there. Trials that
    were begun and not started when the user stopped it stay "running" in the record: the next
    search in it takes them up.
    """

    def __init__(
        self,
        strategy: Strategy,
        record: Record,
        make_job: MakeJob,
        limits: Limits,
        callback: Callback,
        rungs: Rungs,
        prior: Predictor | None = None,
    ) -> None:
        """Begin, or go on with what the record holds; nothing is proposed before the first `ask`.

        Args:
            strategy: proposes candidates and observes what they score.
            record: of the trials; those in it are not run again.
            make_job: makes the job that trains a candidate up to a step.
            limits: when to end.
            callback: told about trials that end, and why the search ends.
            rungs: at which trials are compared on their way.
            prior: tells how long trainings take beside each other, else their MACs do. Where time
                is limited, what it proposes is trained in that order, the most promising first.
        """
        self._prior = prior
        self._strategy, self._record, self._make_job = strategy, record, make_job
        self._limits, self._callback, self._rungs = limits, callback, rungs
        self._idle = IdleTrials(record.objectives)
        self._comparison = Comparison(record.objectives, rungs)
        self._proposed = 0
        self._exhausted = self._over = self._late = False
        self._candidates: dict[int, Candidate] = {}
        self._seconds_per_work: list[float] = []
        self._climb: Climb | None = None
        self._running: set[int] = set()
        self._notes: set[str] = set()

    def ask(self) -> Job | None:
        """Return a job to start; None if there is none now.

        While jobs are under way there may be another after the next `tell`; else all is over.

        Raises:
            SearchError: a record that another version of this program made.
        """
        while not self._over:
            if self._climb is None:
                self._begin()
            elif job := self._next(self._climb):
                return job
            elif self._running:
                return None
            else:
                self._end(self._climb)
        return None

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Write down what became of a job that was asked for."""
        self._running.discard(job.number)
        number, record = job.number, self._record
        self._seconds_per_work.append(outcome.seconds / self._work(self._candidates[number]))
        if outcome.losses:
            record.lose(number, outcome.losses)
        if outcome.restart is not None:
            record.restart(number, outcome.restart)
        if outcome.note is not None and outcome.note not in self._notes:
            self._notes.add(outcome.note)
            self._callback.note(f"trial {number}: {outcome.note}")
        training = {"curve": outcome.curve, "seconds": outcome.seconds}
        ended = True
        if outcome.reason is not None:
            record.fail(number, outcome.reason, memory=outcome.memory, **training)
            _forget_state(job)
        elif job.until is not None and job.pauses and all(map(isfinite, outcome.scores.values())):
            record.report(number, job.until, outcome.scores, **training)
            self._reach(number, job.until, outcome.scores)
            ended = False
        else:
            record.finish(number, outcome.scores, **training)
        if ended:
            self._climbing.end(number)
            self._callback.trial(record.trial(number))
        self._stop_trials()

    @property
    def _climbing(self) -> Climb:
        assert self._climb is not None
        return self._climb

    def _begin(self) -> None:
        """Propose the next generation; the search is over where none may follow."""
        limits, first = self._limits, self._proposed
        if self._exhausted or first >= limits.trials or limits.stop():
            self._over = True
            return
        why = limits.reached(first, self._idle.count, late=self._is_late())
        if why is not None and first >= max(1, len(self._record)):  # the first is always begun
            self._callback.note(why)
            self._over = True
            return
        numbers = range(first, min(first + limits.generation, limits.trials))
        self._proposed = numbers.stop
        self._candidates = self._propose(numbers)
        _check_replay(self._candidates, self._record)
        self._climb = Climb(self._comparison, self._rungs, small_first=isfinite(limits.deadline))
        for number, candidate in self._candidates.items():
            self._take_up(number, candidate)
        self._stop_trials()

    def _propose(self, numbers: range) -> dict[int, Candidate]:
        """Return a candidate for each number; fewer, with a note, when the space runs out."""
        candidates: dict[int, Candidate] = {}
        for number in numbers:
            try:
                candidates[number] = self._strategy.propose(number)
            except SearchError as error:
                self._callback.note(f"the search ends early: {error}")
                self._exhausted = True
                break
        return candidates

    def _take_up(self, number: int, candidate: Candidate) -> None:
        """Begin a trial, or go on from what the record knows of it."""
        if number >= len(self._record):
            plain = candidate.cost.to_plain()
            self._record.begin(number, candidate.architecture, candidate.choices, plain)
        trial = self._record.trial(number)
        # a prior proposes the most promising first
        in_order = self._prior is not None and isfinite(self._limits.deadline)
        self._climbing.start(number, 0 if in_order else candidate.cost.macs)
        for step, scores in trial.rungs:
            self._reach(number, step, scores)
        if trial.state != "running":
            self._climbing.end(number)

    def _next(self, climb: Climb) -> Job | None:
        is_up = not self._limits.allows(0)
        if climb.over or self._limits.stop() or (is_up and self._has_begun()):
            return None
        while following := climb.next():
            number, step = following
            if self._can_end(number):
                self._running.add(number)
                return self._make_job(number, self._candidates[number], step)
            self._late = True
        return None

    def _work(self, candidate: Candidate) -> float:
        """Return what a candidate's training takes, in units of no matter what."""
        return float(self._prior.seconds([candidate])[0]) if self._prior else candidate.cost.macs

    def _is_late(self) -> bool:
        return self._late or not self._limits.allows(0)

    def _has_begun(self) -> bool:
        """Return whether there is, or will be, a network to hand over however short the time is."""
        return bool(self._running or self._seconds_per_work)

    def _can_end(self, number: int) -> bool:
        """Return whether a trial is expected to be over by the deadline, after those before it."""
        if not self._seconds_per_work:
            return True
        expected_s = median(self._seconds_per_work) * self._work(self._candidates[number])
        return self._limits.allows(expected_s)

    def _end(self, climb: Climb) -> None:
        """Observe a generation of which nothing is under way and nothing may be started."""
        if not self._limits.stop():
            self._fail_the_rest()
        self._climb = None
        for number in self._candidates:
            trial = self._record.trial(number)
            if trial.state == "running":
                self._over = True
                return
            values = values_of(self._record.objectives, trial.scores, trial.cost)
            self._strategy.observe(number, None if trial.state == "failed" else values)
            self._idle.observe(values if trial.state == "finished" else None)

    def _fail_the_rest(self) -> None:
        """End the trials that the deadline leaves no time for."""
        for number in self._candidates:
            trial = self._record.trial(number)
            if trial.state == "running" and trial.rungs:
                self._record.stop(number, f"stopped at step {trial.rungs[-1][0]}: the time was up")
            elif trial.state == "running":
                self._record.fail(number, "not started: the time was up")

    def _reach(self, number: int, step: int, scores: Mapping[str, float]) -> None:
        objectives, cost = self._record.objectives, self._record.trial(number).cost
        self._climbing.reach(number, step, values_of(objectives, scores, cost))

    def _stop_trials(self) -> None:
        """End the trials that go no further."""
        for number, step, reason in self._climbing.stopped():
            self._record.stop(number, reason)
            _forget_state(self._make_job(number, self._candidates[number], step))
            self._callback.trial(self._record.trial(number))


def _forget_state(job: Job) -> None:
    if job.state is not None:
        job.state.unlink(missing_ok=True)


def _check_replay(candidates: Mapping[int, Candidate], record: Record) -> None:
    """Refuse a resumed search that does not propose what it proposed before."""
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
