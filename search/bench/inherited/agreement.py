"""Kendall's tau between two scores of the same networks, with a bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Resamplings of the networks."""

COVERAGE = 0.95

Orders = NDArray[np.float64]
"""(networks, networks): 1, 0 or −1 where the first has the higher, an equal or the lower score."""


@dataclass(frozen=True)
class Agreement:
    """How well one score ranks as another does.

    Attributes:
        number: of networks that have both.
        tau: Kendall's tau-b.
        low: lower end of the bootstrap interval.
        high: upper end.
    """

    number: int
    tau: float
    low: float
    high: float

    def __str__(self) -> str:
        """As it stands in a table."""
        if math.isnan(self.tau):
            return f"– ({self.number})"
        words = f"{self.tau:.2f} ({self.low:.2f} to {self.high:.2f})"
        return words.replace("-", "−")


def agreement(scores: Sequence[float], truth: Sequence[float], seed: int) -> Agreement:
    """Tau of `scores` with `truth` over the networks that have both; NaN of fewer than three.

    The interval resamples networks with replacement and leaves out draws in which all are equal.
    """
    pairs = np.array([scores, truth], dtype=np.float64)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    number = pairs.shape[1]
    if number < 3:
        return Agreement(number, float("nan"), float("nan"), float("nan"))
    first, second = (np.sign(row[:, None] - row) for row in pairs)
    rng = np.random.default_rng(seed)
    drawn = [_tau(first, second, rng.integers(number, size=number)) for _ in range(DRAWS)]
    kept = [tau for tau in drawn if not math.isnan(tau)]
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(kept, (tail, 1 - tail)) if kept else (math.nan, math.nan)
    tau = _tau(first, second, np.arange(number))
    return Agreement(number, tau, float(low), float(high))


def _tau(first: Orders, second: Orders, chosen: NDArray[np.int64]) -> float:
    """Tau-b of the chosen networks, from which of each two has the higher score."""
    x, y = (orders[np.ix_(chosen, chosen)] for orders in (first, second))
    untied = math.sqrt(np.square(x).sum() * np.square(y).sum())
    return float((x * y).sum() / untied) if untied else math.nan
