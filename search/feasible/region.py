"""The part of a space between two budgets, as far as costs add up: how large it is, and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import sqrt

import numpy as np

from budgets.units import Size
from search.feasible.count_table import BODY, TAIL, CountTable, Grid, Skeleton, StageContext
from search.feasible.sample import PLANE_CELLS, Drawn, Sampler
from search.feasible.stage_costs import UNLIMITED, Integers, Sizes, StageCosts
from spaces import Space, TaskShape

ADDITIVE = ("params", "macs")
"""Axes of a budget whose costs add up over the parts of a network."""

NORMAL_95 = 1.96

LINE_CELLS = 2**12
"""Cells of a single axis whose size is told; finer than for draws."""

UNIT_CELLS = 2**18
"""Up to so many units a single axis is counted unit by unit, if the work allows."""

UNIT_WORK = 2**28
"""Additions for each stage up to which it does: units times the costs that a stage can have."""

LARGEST_EXACT = 2**53
"""Whole numbers below this are exact in double precision."""


@dataclass(frozen=True)
class Count:
    """How many networks fit; at least and at most, which are equal if nothing was rounded."""

    least: float
    most: float

    @property
    def is_exact(self) -> bool:
        """Whether the number is known to the last digit."""
        return self.least == self.most < LARGEST_EXACT


class Region:
    """Networks of a space whose additive costs lie between limits.

    Several sizes may count: then the limit on MACs holds at each of them, and the grids are made
    for the largest.
    """

    def __init__(
        self, costs: StageCosts, lower: Mapping[str, float], upper: Mapping[str, float]
    ) -> None:
        """Start without having counted.

        Args:
            costs: of the space's stages.
            lower: least cost, by key of `ADDITIVE`, at one of the sizes; missing is none.
            upper: greatest cost, at all sizes.
        """
        self.costs = costs
        sizes = costs.sizes
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
        self._on_grid = len(axes) == limited.sum()  # which has only the columns of the largest size
        self.table = CountTable(costs, self._upper, axes)

    def fill(self, workers: int = 1) -> int:
        """Measure the parts that are not known yet, and return how many those were."""
        return self.costs.fill(self.table.maps(), workers)

    @cached_property
    def count(self) -> Count:
        """How many networks there are, between two bounds that rounding to cells proves.

        Exact where a cell is one unit, which it is for parameters of smaller spaces. The lower
        bound is 0 if limits hold at several sizes.
        """
        least = most = 0.0
        grid = self._counting_grid
        for features in self.table.maps():
            for multiple, times in self.table.parts(features).items():
                sure, possible = self._count_on(features, multiple, grid)
                if times < 0:
                    sure, possible = possible, sure
                least, most = least + times * sure, most + times * possible
        return Count(max(0.0, least), most)

    def draw(self, number: int, rng: np.random.Generator) -> Iterator[Drawn | None]:
        """Draw networks uniformly, None for each that is left out; limits at all sizes hold."""
        yield from self._sampler.draw(number, rng)

    def estimate(self, draws: int, rng: np.random.Generator) -> tuple[float, float]:
        """Estimate by draws how many networks there are, all limits considered.

        Returns:
            The estimate, and half of its 95 % interval (Wilson, 1927), which is never 0.
        """
        share = self._sampler.kept(draws, rng) / draws
        square = NORMAL_95**2 / draws
        half = sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
        return self.weight * share, self.weight * half

    @property
    def weight(self) -> float:
        """How many networks would be drawn from, were none left out."""
        return self._sampler.weight

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.table, self._lower, self._upper)

    @property
    def _counting_grid(self) -> Grid:
        table = self.table
        if len(table.axes) != 1:
            return table.grid(PLANE_CELLS)
        units = max(1, int(self._upper[table.axes[0]]))
        if units > UNIT_CELLS:
            return table.grid(LINE_CELLS)
        contexts = {context for one in table.skeletons() for context in one.contexts}
        stages = [
            sum(len(b.counts) * len(rows.tail.counts) for rows in found for b in rows.bodies)
            for found in map(table.stage_rows, contexts)
        ]
        return table.grid(units if units * max(stages) <= UNIT_WORK else LINE_CELLS)

    def _count_on(self, features: Sizes, multiple: int, grid: Grid) -> tuple[float, float]:
        """Count on a feature map the networks whose windows divide a multiple, as bounds."""
        least = most = 0.0
        for network in self.costs.networks:
            one = self.table.skeleton(network, features, multiple)
            if (one.cost > self._upper).any():
                continue
            lower, upper = self._lower - one.cost, self._upper - one.cost
            possible, certain = grid.box(lower, upper, one.roundings)
            cells = self.table.prefix(one.contexts, grid)
            least += float(cells[certain].sum()) if self._on_grid else 0.0
            most += float(cells[possible].sum())
        return least, most


def extremes(costs: StageCosts) -> tuple[Integers, Integers]:
    """Return the smallest and the largest cost in a whole space, by column.

    Padding to a larger multiple never takes less work, so the smallest is found whichever feature
    map a network belongs to. For the largest, a stage must need the feature map it is priced on.
    """
    table = CountTable(costs, np.full(1 + len(costs.sizes), UNLIMITED), (0, 1))
    pairs = [_of_skeleton(table, skeleton) for skeleton in table.skeletons()]
    lows, highs = zip(*(pair for pair in pairs if pair is not None), strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _of_skeleton(table: CountTable, skeleton: Skeleton) -> tuple[Integers, Integers] | None:
    low = high = skeleton.cost
    losses: list[Integers] = []
    for context in skeleton.contexts:
        joints = range(len(table.costs.joint_choices(context.known)))
        ranges = [_of_joint(table, context, joint) for joint in joints]
        low = low + np.min([least for least, _, _ in ranges], axis=0)
        most = np.max([largest for _, largest, _ in ranges], axis=0)
        high = high + most
        losses += [most - owned for _, _, owned in ranges if owned is not None]
    if table.owner(1) == skeleton.contexts[0].features:
        return low, high
    # the cheapest way to have one stage that asks for this feature map
    return (low, high - np.min(losses, axis=0)) if losses else None


def _of_joint(
    table: CountTable, context: StageContext, joint: int
) -> tuple[Integers, Integers, Integers | None]:
    """Return a stage's least and largest cost, and the largest that needs its feature map."""
    mixers, feed_forwards, passes = context.groups(table.costs, joint, BODY)
    closings, slots = context.groups(table.costs, joint, TAIL)
    if not len(mixers.costs):
        nothing = np.zeros(mixers.costs.shape[1], np.int64)
        return nothing + UNLIMITED, nothing, None
    copies, runs = passes.costs.T
    work = context.uses
    times = np.stack([copies, *[runs * work] * (mixers.costs.shape[1] - 1)], axis=1)
    both = np.full(times.shape[1], work)
    shared = np.array([1, *both[1:]])
    owners = [table.owner(int(multiple)) == context.features for multiple in mixers.multiples]

    def least_and_most(mixers: Integers) -> list[Integers]:
        return [
            (of(mixers, axis=0) + of(feed_forwards.costs, axis=0)) * of(times, axis=0)
            + of(closings.costs, axis=0) * shared
            + of(slots.costs, axis=0) * both
            for of in (np.min, np.max)
        ]

    least, most = least_and_most(mixers.costs)
    owned = mixers.costs[np.array(owners)]
    return least, most, least_and_most(owned)[1] if len(owned) else None


@lru_cache(maxsize=4)
def costs_of(space: Space, shape: TaskShape, sizes: tuple[Size, ...]) -> StageCosts:
    """Return the costs of a space's stages, kept for the next question."""
    return StageCosts(space, shape, sizes)


@lru_cache(maxsize=4)
def region_of(
    space: Space,
    shape: TaskShape,
    sizes: tuple[Size, ...],
    lower: tuple[tuple[str, float], ...],
    upper: tuple[tuple[str, float], ...],
) -> Region:
    """Return the region between limits, kept for the next draw."""
    return Region(costs_of(space, shape, sizes), dict(lower), dict(upper))
