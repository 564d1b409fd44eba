"""The learning curve of a training, and how a training is seen that gets worse instead of better.

Nothing of torch is imported, so that what reads trials starts at once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from lightir_core.errors import DivergedError
from lightir_core.learning.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

Point = tuple[int, float]
"""(step, score) of a learning curve."""

FIRST = 16
"""Losses that tell where a training began."""

LAST = 32
"""Losses that tell where it is."""

FACTOR = 2.0
"""A loss so many times the first one has left the range of healthy trainings."""

RISEN = 1.5
"""First losses that are so many times the very first, which is of untouched weights, are looked at
more closely; batches differ by as much, so this alone says nothing."""


class LearningCurve:
    """The learning curve, and with `patience` the best weights on it.

    Attributes:
        points: so far.
        best: state dict of the best point, or None without patience.
        ended: whether the last `patience` points brought nothing.
    """

    def __init__(
        self,
        validate: Callable[[nn.Module], float],
        report: Callable[[Point], None] | None,
        patience: int,
    ) -> None:
        """Start without a point."""
        self._validate, self._report, self._patience = validate, report, patience
        self.points: list[Point] = []
        self.best: dict[str, Tensor] | None = None
        self._top = -math.inf
        self._stale = 0

    def measure(self, step: int, network: nn.Module) -> None:
        """Add a point; raises DivergedError if it is not a number."""
        score = self._validate(network)
        self.points.append((step, score))
        if math.isnan(score):
            raise DivergedError(f"the score became nan at step {step}", step)
        if self._report is not None:
            self._report(self.points[-1])
        self._stale += 1
        if self._patience and score > self._top:
            self._top, self._stale = score, 0
            self.best = {name: t.detach().clone() for name, t in network.state_dict().items()}

    def restore(self, points: Sequence[Point], best: dict[str, Tensor] | None) -> None:
        """Go on from a curve that was measured before, and the best weights on it."""
        self.points, self.best = list(points), best
        if self._patience and points:
            self._top = max(score for _, score in points)
            first = next(i for i, (_, score) in enumerate(points) if score == self._top)
            self._stale = len(points) - 1 - first

    @property
    def ended(self) -> bool:
        """Return whether it is time to stop early."""
        return 0 < self._patience <= self._stale


class DivergenceCheck:
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

    def add(self, step: int, loss: float) -> None:
        """Add the loss of a step, counted from 1.

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
        """Return what was seen and still counts."""
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
        """Return the second attempt at a training that diverged."""
        return Restart(step=error.step, before=recipe.rates, after=recipe.gentler().rates)

    @staticmethod
    def from_plain(plain: Mapping[str, Any] | None) -> Restart | None:
        """Return what `to_plain` gave, if anything."""
        return None if not plain else Restart(**plain)

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return asdict(self)

    @property
    def text(self) -> str:
        """Return a part of a sentence about the training."""
        return (
            f"diverged at step {self.step} with {_format_rates(self.before)}, restarted with "
            + _format_rates(self.after)
        )


def _format_rates(rates: Mapping[str, float]) -> str:
    return " and ".join(f"{name}={rate:.3g}" for name, rate in rates.items())
