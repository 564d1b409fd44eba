"""A learning curve while it grows, and what early stopping remembers of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lightir_core.errors import DivergedError

Point = tuple[int, float]
"""(step, score) of a learning curve."""


class Progress:
    """The learning curve, and with `patience` the best weights on it.

    Attributes:
        curve: so far.
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
        self.curve: list[Point] = []
        self.best: dict[str, Tensor] | None = None
        self._top = -math.inf
        self._stale = 0

    def measure(self, step: int, network: nn.Module) -> None:
        """Add a point; raises DivergedError if it is not a number."""
        score = self._validate(network)
        self.curve.append((step, score))
        if math.isnan(score):
            raise DivergedError(f"the score became nan at step {step}", step)
        if self._report is not None:
            self._report(self.curve[-1])
        self._stale += 1
        if self._patience and score > self._top:
            self._top, self._stale = score, 0
            self.best = {name: t.detach().clone() for name, t in network.state_dict().items()}

    def restore(self, curve: Sequence[Point], best: dict[str, Tensor] | None) -> None:
        """Go on from a curve that was measured before, and the best weights on it."""
        self.curve, self.best = list(curve), best
        if self._patience and curve:
            self._top = max(score for _, score in curve)
            first = next(i for i, (_, score) in enumerate(curve) if score == self._top)
            self._stale = len(curve) - 1 - first

    @property
    def ended(self) -> bool:
        """Whether it is time to stop early."""
        return 0 < self._patience <= self._stale
