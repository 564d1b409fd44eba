"""How long a run still takes, from what its trials took.

A training's time is fitted as a + b x MACs over the trials that have ended. What a generation has
begun is known by its MACs; what is not proposed yet is taken to be as dear as what was. Later
steps are counted in trainings: finalists and pruned networks get `longer` ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightir_core.published.presets import PRESETS
from results.objectives import Objective
from results.run_view import trial_front
from results.trials import Trial
from search.config import SearchConfig

TEACHING = 1.4
"""A step of a pruned network beside one of the same without a teacher: its forward pass comes on
top."""

KEEPING_S = 15.0
"""Scoring whole images, timing and saving of one final network on two loaded cores, and about what
pruning one takes besides."""

SEARCH, BASELINES = "search", "published systems"
TRAIN_ON, PRUNE = "train on", "prune and fine-tune"
"""The phases of the pipeline, in their order."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands.

    Attributes:
        phase: as the pipeline calls it.
        done: items of the phase that are done.
        elapsed_s: since the run, or its resumption, began.
        workers: trainings at the same time.
    """

    phase: str
    done: int
    elapsed_s: float
    workers: int


def seconds_left(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    config: SearchConfig,
    progress: Progress,
    now_s: float,
    longer: float,
) -> float | None:
    """Return seconds until the report is there; None before the first trial has ended.

    Args:
        trials: all that were begun.
        objectives: of the search, for its front.
        config: what was asked for.
        progress: where the run stands.
        now_s: the time, in seconds since the epoch, for trials that are running.
        longer: training on a finalist, or a pruned network, beside training it for the search.
    """
    # what was stopped at a rung counts too: as many of those to come will be
    ended = [t for t in trials if t.state in ("finished", "stopped") and t.seconds]
    if not ended:
        return None
    if config.search.time_s and not config.training.finish_steps:  # the time is filled
        return max(0.0, config.search.time_s - progress.elapsed_s)
    cost = _Line.through([t.cost["macs"] for t in ended], [t.seconds or 0.0 for t in ended])
    steps = _steps(trials, objectives, config, cost, progress.workers, longer)
    order = [SEARCH, BASELINES, TRAIN_ON, PRUNE]
    phase = order.index(progress.phase) if progress.phase in order else len(order)
    left = sum(steps[name] for name in order[phase + 1 :])
    if progress.phase == SEARCH:
        left += _search_left(trials, config, cost, progress, now_s)
    elif progress.phase in steps:
        totals = {BASELINES: len(PRESETS), TRAIN_ON: config.training.finalists, PRUNE: 1}
        left += steps[progress.phase] * max(0.0, 1 - progress.done / totals[progress.phase])
    limit = config.search.time_s - progress.elapsed_s if config.search.time_s else float("inf")
    return max(0.0, min(left, limit))


@dataclass(frozen=True)
class _Line:
    """Seconds = start + rate x MACs, neither below zero."""

    start: float
    rate: float

    @staticmethod
    def through(macs: Sequence[float], seconds: Sequence[float]) -> _Line:
        x, y = np.asarray(macs, float), np.asarray(seconds, float)
        spread = ((x - x.mean()) ** 2).sum()
        rate = float(((x - x.mean()) * (y - y.mean())).sum() / spread) if spread else 0.0
        start = float(y.mean() - rate * x.mean())
        if rate < 0:
            return _Line(float(y.mean()), 0.0)
        if start < 0:
            return _Line(0.0, float(y.sum() / x.sum()))
        return _Line(start, rate)

    def __call__(self, macs: float) -> float:
        return self.start + self.rate * macs


def _search_left(
    trials: Sequence[Trial], config: SearchConfig, cost: _Line, progress: Progress, now_s: float
) -> float:
    expected = [cost(trial.cost["macs"]) for trial in trials]
    work = sum(expected) / len(expected) * max(0, config.search.trials - len(trials))
    # a generation is written down at once; as many of it as there are workers are under way, the
    # smallest first if time is limited, else the largest
    sign = 1 if config.search.time_s else -1
    waiting = sorted(
        (t for t in trials if t.state == "running"), key=lambda t: sign * t.cost["macs"]
    )
    work += sum(cost(trial.cost["macs"]) for trial in waiting)
    work -= sum(0.5 * cost(trial.cost["macs"]) for trial in waiting[: progress.workers])
    left = work / progress.workers
    return max(0.0, min(left, config.search.search_s - progress.elapsed_s))


def _steps(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    config: SearchConfig,
    cost: _Line,
    workers: int,
    longer: float,
) -> dict[str, float]:
    """Return seconds of each phase after the search."""
    costs = [cost(trial.cost["macs"]) for trial in trials]
    mean = sum(costs) / len(costs)
    finalists = trial_front(trials, objectives)[: config.training.finalists]
    times = [longer * (trial.seconds or mean) for trial in finalists]
    return {
        # shrunk until they just fit: as dear as the dearest trial
        BASELINES: max(costs) * len(PRESETS) / workers if config.search.presets else 0.0,
        TRAIN_ON: _together(times, workers) + KEEPING_S * len(times),
        PRUNE: TEACHING * max(times, default=0.0) + 2 * KEEPING_S,
    }


def _together(times: Sequence[float], workers: int) -> float:
    """Return how long jobs take that start one after another on `workers`."""
    ends = [0.0] * workers
    for time in times:
        soonest = ends.index(min(ends))
        ends[soonest] += time
    return max(ends)
