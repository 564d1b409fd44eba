"""The part of a space between two budgets, as far as costs add up: how large it is, and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from math import sqrt

import numpy as np

from budgets.units import Size
from search.feasible.convolve import Chains
from search.feasible.count import Count, count
from search.feasible.sample import Drawer, Drawn
from search.feasible.stage_costs import UNLIMITED, Ledger
from spaces import Space, TaskShape

ADDITIVE = ("params", "macs")
"""Axes of a budget whose costs add up over the parts of a network."""

NORMAL_95 = 1.96


class Region:
    """Networks of a space whose additive costs lie between limits.

    Several sizes may count: then the limit on MACs holds at each of them, and the grids are made
    for the largest.
    """

    def __init__(
        self, ledger: Ledger, lower: Mapping[str, float], upper: Mapping[str, float]
    ) -> None:
        """Start without having counted.

        Args:
            ledger: of the space.
            lower: least cost, by key of `ADDITIVE`, at one of the sizes; missing is none.
            upper: greatest cost, at all sizes.
        """
        self.ledger = ledger
        sizes = ledger.sizes
        largest = 1 + max(range(len(sizes)), key=lambda n: sizes[n].height * sizes[n].width)
        columns = {"params": [0], "macs": list(range(1, 1 + len(sizes)))}
        self._lower = np.zeros(1 + len(sizes), np.int64)
        self._upper = np.full(1 + len(sizes), UNLIMITED)
        for axis, limit in upper.items():
            self._upper[columns[axis]] = min(int(limit), UNLIMITED)
        for axis, limit in lower.items():
            self._lower[0 if axis == "params" else largest] = int(np.ceil(limit))
        limited = (self._lower > 0) | (self._upper < UNLIMITED)
        # a lower limit comes with an upper one, which makes the grid as long as it must be
        axes = tuple(column for column in (0, largest) if limited[column])
        self.chains = Chains(ledger, self._upper, axes)

    def fill(self, workers: int = 1) -> int:
        """Measure the parts that are not known yet; how many those were."""
        return self.ledger.fill(self.chains.maps(), workers)

    @cached_property
    def count(self) -> Count:
        """How many networks there are, exactly or between two bounds."""
        return count(self.chains, self._lower, self._upper)

    def draw(self, number: int, rng: np.random.Generator) -> Iterator[Drawn | None]:
        """See `Drawer.draw`; limits at all sizes hold."""
        yield from self._drawer.draw(number, rng)

    def estimate(self, draws: int, rng: np.random.Generator) -> tuple[float, float]:
        """How many networks there are, all limits considered, by draws.

        Returns:
            The estimate, and half of its 95 % interval (Wilson, 1927), which is never 0.
        """
        share = self._drawer.kept(draws, rng) / draws
        square = NORMAL_95**2 / draws
        half = sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
        return self.weight * share, self.weight * half

    @property
    def weight(self) -> float:
        """How many networks would be drawn from, were none left out."""
        return self._drawer.weight

    @cached_property
    def _drawer(self) -> Drawer:
        return Drawer(self.chains, self._lower, self._upper)


@lru_cache(maxsize=4)
def ledger_of(space: Space, shape: TaskShape, sizes: tuple[Size, ...]) -> Ledger:
    """The ledger of a space, kept for the next question."""
    return Ledger(space, shape, sizes)


@lru_cache(maxsize=4)
def region_of(
    space: Space,
    shape: TaskShape,
    sizes: tuple[Size, ...],
    lower: tuple[tuple[str, float], ...],
    upper: tuple[tuple[str, float], ...],
) -> Region:
    """The region between limits, kept for the next draw."""
    return Region(ledger_of(space, shape, sizes), dict(lower), dict(upper))
