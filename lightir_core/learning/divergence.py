"""Trainings that get worse instead of better: how one is told, and that it was begun again."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from lightir_core.errors import DivergedError
from lightir_core.learning.recipe import Recipe

FIRST = 16
"""Losses that tell where a training began."""

LAST = 32
"""Losses that tell where it is."""

FACTOR = 2.0
"""A loss so many times the first one has left the range of healthy trainings."""

RISEN = 1.5
"""First losses that are so many times the very first, which is of untouched weights, are looked at
more closely; batches differ by as much, so this alone says nothing."""


class Watch:
    """Raises an error when the losses of a training stay far above where they began.

    Most of the last losses have to be there: the median is looked at, since where damage is sparse
    a single batch may be many times as hard as another. Squared errors count by their roots, so
    that the factor means the same for every kind of loss.

    A training may blow up before its first losses are over. Where they rise at once, those of the
    weights that it began with are taken in their place.
    """

    def __init__(self, recipe: Recipe, at_first: Callable[[], Sequence[float]]) -> None:
        """Start without a loss.

        Args:
            recipe: whose loss it is.
            at_first: the losses of the first `FIRST` batches by the weights from before training.
        """
        self._at_first = at_first
        self._power = 0.5 if recipe.loss == "mse" else 1.0
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=LAST)

    def see(self, step: int, loss: float) -> None:
        """Take in the loss of a step, counted from 1.

        Raises:
            DivergedError: it is no finite number, or too many have been too high for a while.
        """
        if not math.isfinite(loss):
            raise DivergedError(f"the loss became {loss} at step {step}", step)
        size = loss**self._power
        if len(self._first) < FIRST:
            self._first.append(size)
            if len(self._first) == FIRST and fmean(self._first) > RISEN * self._first[0]:
                self._first = [loss**self._power for loss in self._at_first()]
            return
        self._last.append(size)
        if len(self._last) < LAST:
            return
        start, now = fmean(self._first), median(self._last)
        if now > FACTOR * start:
            root = "" if self._power == 1 else "root of the "
            raise DivergedError(
                f"the {root}loss diverged: {now:.3g} in the middle of the last {LAST} steps at "
                f"step {step}, {start:.3g} on average over the first {FIRST}",
                step,
            )

    def to_plain(self) -> dict[str, list[float]]:
        """What was seen and still counts."""
        return {"first": list(self._first), "last": list(self._last)}

    def restore(self, plain: Mapping[str, list[float]]) -> None:
        """Go on from what `to_plain` gave."""
        self._first = list(plain["first"])
        self._last = deque(plain["last"], maxlen=LAST)


@dataclass(frozen=True, kw_only=True)
class Restart:
    """A training that diverged and was begun again, from the same seed, at lower rates.

    Attributes:
        step: at which it diverged.
        before: learning rates by their names, as they were then.
        after: as they were lowered to.
    """

    step: int
    before: Mapping[str, float]
    after: Mapping[str, float]

    @staticmethod
    def of(error: DivergedError, recipe: Recipe) -> Restart:
        """The second attempt at a training that diverged."""
        return Restart(step=error.step, before=recipe.rates, after=recipe.gentler().rates)

    @staticmethod
    def from_plain(plain: Mapping[str, Any] | None) -> Restart | None:
        """What `to_plain` gave, if anything."""
        return None if not plain else Restart(**plain)

    def to_plain(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @property
    def words(self) -> str:
        """A part of a sentence about the training."""
        return f"diverged at step {self.step} with {_said(self.before)}, restarted with " + _said(
            self.after
        )


def _said(rates: Mapping[str, float]) -> str:
    return " and ".join(f"{name}={rate:.3g}" for name, rate in rates.items())
