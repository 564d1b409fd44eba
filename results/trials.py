"""A trial as a plain value: what was tried, what it cost, how it went."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from optuna.trial import FrozenTrial, TrialState

from lightir_core.architecture import Architecture
from lightir_core.learning.curve import Restart

Choice = None | bool | int | float | str
State = Literal["running", "finished", "stopped", "failed"]

_STATES: dict[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
    TrialState.COMPLETE: "finished",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "stopped",
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One candidate and what became of it.

    Attributes:
        number: place in the study, counted from 0.
        state: "running", "finished", "failed", or "stopped" before its training was over, as others
            did better.
        architecture: what was trained.
        choices: how the space made it, one value per dimension that was in play.
        cost: params, macs and whatever else was counted.
        scores: what was measured, such as psnr_y in dB; empty unless finished or stopped.
        rungs: (step, scores) where it was compared with others on its way.
        curve: (step, score) pairs while training.
        seconds: time spent on it.
        reason: why it failed or was stopped.
        started: when it began; aware.
        finished: when it ended; None while it runs.
        memory: of a trial that ran out of it: `predicted_bytes` of the training, and
            `reached_bytes` of the process that ended.
        losses: where a worker was lost with it, and from which step it went on elsewhere.
        restart: that its training diverged and was begun again at lower rates.
    """

    number: int
    state: State
    architecture: Architecture
    choices: Mapping[str, Choice]
    cost: Mapping[str, int | float]
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    rungs: tuple[tuple[int, Mapping[str, float]], ...] = ()
    curve: tuple[tuple[int, float], ...] = ()
    seconds: float | None = None
    reason: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    memory: Mapping[str, int] = field(default_factory=dict[str, int])
    losses: tuple[str, ...] = ()
    restart: Restart | None = None


def trial_from(frozen: FrozenTrial, architecture: Architecture) -> Trial:
    """Return the trial that Optuna stored, with its architecture already read."""
    story = frozen.user_attrs
    return Trial(
        number=frozen.number,
        state=_STATES[frozen.state],
        architecture=architecture,
        choices={**frozen.params, **story.get("choices", {})},
        cost=story.get("cost", {}),
        scores=story.get("scores", {}),
        rungs=tuple((step, scores) for step, scores in story.get("rungs", [])),
        curve=tuple(
            (step, math.nan if value is None else value) for step, value in story.get("curve", [])
        ),
        seconds=story.get("seconds"),
        reason=story.get("reason"),
        started=_aware(frozen.datetime_start),
        finished=_aware(frozen.datetime_complete),
        memory=story.get("memory", {}),
        losses=tuple(story.get("losses", ())),
        restart=Restart.from_plain(story.get("restart")),
    )


def plain_curve(curve: Sequence[tuple[int, float]]) -> list[list[float | None]]:
    """Return a learning curve as JSON has it: NaN, which JSON lacks, becomes null."""
    return [[int(step), float(value) if math.isfinite(value) else None] for step, value in curve]


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone()
