"""Jobs, what comes of them, who has some to do, and who hears of it.

A `Job` says how to train or score one network and an `Outcome` what came of it: plain values that
cross process borders. Whoever has jobs is asked for them and told their outcomes; a driver runs
what it is given, on whatever machines it knows:

    while job := source.ask():
        source.tell(job, score_candidate(job))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from lightir_core.architecture import Architecture
from lightir_core.checkpoints import ARCHITECTURE_FILE, WEIGHTS_FILE
from lightir_core.data.image_source import ImageSource
from lightir_core.learning.curve import Point, Restart
from lightir_core.learning.learner import LaunchMode
from lightir_core.learning.recipe import Recipe
from results.trials import Trial
from search.objectives import TRAIN, Evaluator

Stop = Callable[[], bool]
"""Whether the user wants the search to end: what runs is finished, nothing more is started."""


def never() -> bool:
    """Return False: nobody wants to stop."""
    return False


class Callback(Protocol):
    """What is called with progress as it happens."""

    def phase(self, name: str, total: int) -> None:
        """Take in that a phase of `total` items begins."""
        ...

    def item(self, text: str) -> None:
        """Take in that one item of the phase is done."""
        ...

    def trial(self, trial: Trial) -> None:
        """Take in that a trial of the search has ended, well or badly."""
        ...

    def note(self, text: str) -> None:
        """Something that the user should know."""
        ...


class Silent:
    """A callback that does nothing."""

    def phase(self, name: str, total: int) -> None:
        """Ignore it."""

    def item(self, text: str) -> None:
        """Ignore it."""

    def trial(self, trial: Trial) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""


class Tracker(Protocol):
    """What keeps a copy of a run's trials, in a form that another program shows."""

    def trial(self, trial: Trial) -> None:
        """Take in a trial of the search that has ended, well or badly."""
        ...


class Tracked:
    """A callback that passes everything on, and trials to the trackers as well."""

    def __init__(self, callback: Callback, trackers: Sequence[Tracker]) -> None:
        """Wrap `callback`; the trackers are entered and left by the caller."""
        self.phase, self.item, self.note = callback.phase, callback.item, callback.note
        self._trial_callbacks = (callback.trial, *(tracker.trial for tracker in trackers))

    def trial(self, trial: Trial) -> None:
        """Pass an ended trial on, to the callback first."""
        for call in self._trial_callbacks:
            call(trial)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Train or score one network.

    Attributes:
        number: of the trial.
        architecture: what to build.
        recipe: how to train it.
        source: task and images.
        seed: decides the first weights and the patches.
        device: torch's name of it.
        weights: where the trained weights go.
        start: weights to begin from, or None for a fresh network.
        teacher: folder of a model to distil from, or None.
        evaluator: how to score it, if not by training.
        checks: steps after which the learning curve is measured; none is a few, evenly.
        until: step to pause after, with everything kept in `state`; None trains to the end.
        launch_mode: how the kernels of a step are launched; see `lightir_core.learning.learner`.
        state: file that a paused training, or one whose process died, goes on from.
        keep_s: seconds after which a running training is kept there again; 0 is never.
        limit_s: seconds that its training may take, by leaving out steps if need be; 0: no limit.
    """

    number: int
    architecture: Architecture
    recipe: Recipe
    source: ImageSource
    seed: int
    device: str
    weights: Path
    start: Path | None = None
    teacher: Path | None = None
    evaluator: Evaluator = TRAIN
    checks: tuple[int, ...] = ()
    until: int | None = None
    state: Path | None = None
    launch_mode: LaunchMode = "eager"
    keep_s: float = 0.0
    limit_s: float = 0.0

    @property
    def pauses(self) -> bool:
        """Whether the training is not over with this job."""
        return self.until is not None and self.until < self.recipe.steps

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Return the files that it begins from, but for its state."""
        files = (ARCHITECTURE_FILE, WEIGHTS_FILE) if self.teacher else ()
        model = [self.teacher / file for file in files if self.teacher]
        return tuple(path for path in (self.start, *model) if path is not None)

    def moved(self, move: Callable[[Path], Path]) -> Job:
        """Return the job with all its files elsewhere."""
        names = ("weights", "start", "teacher", "state")
        paths = {name: path for name in names if (path := getattr(self, name)) is not None}
        return replace(self, **{name: move(path) for name, path in paths.items()})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job gave: scores and a curve, or the reason why there are none.

    Attributes:
        training_s: seconds of training and validation alone.
        memory: if it ran out, the bytes that were predicted and those that were reached.
        began_at: step that its training went on from.
        losses: where a worker process was lost with it, and from which step it went on elsewhere.
        restart: that the training diverged and was begun again; the scores are of that attempt.
        note: what the user should know of how it was trained, or None.
    """

    number: int
    scores: dict[str, float] = field(default_factory=dict[str, float])
    curve: tuple[Point, ...] = ()
    seconds: float = 0.0
    training_s: float = 0.0
    reason: str | None = None
    memory: dict[str, int] = field(default_factory=dict[str, int])
    began_at: int = 0
    losses: tuple[str, ...] = ()
    restart: Restart | None = None
    note: str | None = None


class JobSource(Protocol):
    """Whoever has jobs to do: a search, a queue."""

    def ask(self) -> Job | None:
        """Return a job to start; None if there is none now.

        While jobs are under way there may be another after the next `tell`; else all is over.
        """
        ...

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Take in what came of a job that was asked for."""
        ...


class Driver(Protocol):
    """Whoever runs jobs: processes of this machine, a cluster."""

    def drive(self, source: JobSource) -> None:
        """Run what `source` asks for, until it asks for nothing and nothing is under way."""
        ...


class JobQueue:
    """A fixed sequence of jobs, handed out in its order, with the outcomes as they come.

    Attributes:
        outcomes: each job that has ended, with its outcome, in the order of their ends.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        stop: Stop = never,
        on_outcome: Callable[[Job, Outcome], None] | None = None,
    ) -> None:
        """Hold jobs.

        Args:
            jobs: taken one at a time, each when there is room for it.
            stop: once it says so, nothing more is handed out.
            on_outcome: called with each job that has ended.
        """
        self._jobs = iter(jobs)
        self._stop = stop
        self._on_outcome = on_outcome
        self.outcomes: list[tuple[Job, Outcome]] = []

    def ask(self) -> Job | None:
        """Return the next job; None if there is none left, or the user wants to stop."""
        return None if self._stop() else next(self._jobs, None)

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Keep what came of a job."""
        self.outcomes.append((job, outcome))
        if self._on_outcome is not None:
            self._on_outcome(job, outcome)


def drive_function(source: JobSource, work: Callable[[Job], Outcome]) -> None:
    """Run every job of `source` by a function in this process, one after the other."""
    while (job := source.ask()) is not None:
        source.tell(job, work(job))
