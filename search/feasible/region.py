"""The part of a space between two budgets, as far as costs add up: how large it is, and draws.

Forwards the stages are counted by cell; backwards a total is drawn, then what the last stage takes
of it, and so on to the first. Costs are rounded down in cells, so a few of the drawn networks are
over a limit after all: they are left out, which leaves the others uniform.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import sqrt

import numpy as np

from budgets.budget import Size
from search.feasible.stage_costs import (
    BODY,
    TAIL,
    UNLIMITED,
    Booleans,
    CountTable,
    Floats,
    Grid,
    Integers,
    Sizes,
    Skeleton,
    StageContext,
    StageCosts,
    StageRows,
)
from spaces.decode import TaskShape
from spaces.sections import leaders
from spaces.space import Choices, Space

ADDITIVE = ("params", "macs")
"""Axes of a budget whose costs add up over the parts of a network."""

NORMAL_95 = 1.96

COUNT_CELLS = 2**12
"""Cells of a single axis whose size is told; finer than for draws."""

UNIT_CELLS = 2**18
"""Up to so many units a single axis is counted unit by unit, if the work allows."""

UNIT_WORK = 2**28
"""Additions for each stage up to which it does: units times the costs that a stage can have."""

LARGEST_EXACT = 2**53
"""Whole numbers below this are exact in double precision."""

LINE_CELLS = 1024
"""Cells on a single axis that is drawn from."""

PLANE_CELLS = 112
"""Cells on each of two axes."""

BATCH = 2**15
"""Networks that are drawn together."""


@dataclass(frozen=True)
class Count:
    """How many networks fit; at least and at most, which are equal if nothing was rounded."""

    least: float
    most: float

    @property
    def is_exact(self) -> bool:
        """Whether the number is known to the last digit."""
        return self.least == self.most < LARGEST_EXACT


@dataclass(frozen=True)
class Drawn:
    """A point of the space and its cost: parameters, then MACs at each output size."""

    choices: Choices
    cost: tuple[int, ...]


@dataclass(frozen=True)
class DrawnStages:
    """n stages of one context; the arrays are filled in place.

    Attributes:
        joints: (n) numbers of their joint choices.
        bodies: (n) which combination of groups their body is.
        tails: (n) which combination of groups their tail is.
        multiples: (n) what the sides of their windows divide.
        costs: (n, axes).
    """

    joints: Integers
    bodies: Integers
    tails: Integers
    multiples: Integers
    costs: Integers

    def choices(
        self, costs: StageCosts, context: StageContext, which: Booleans, rng: np.random.Generator
    ) -> list[Choices]:
        """Draw points of the stages that are `which` (n), uniformly from what they stand for."""
        made: dict[int, Choices] = {}
        for joint in np.unique(self.joints[which]).tolist():
            here = np.flatnonzero(which & (self.joints == joint))
            known = costs.joint_choices(context.known)[joint]
            columns: list[list[int]] = []
            for names, numbers in ((BODY, self.bodies[here]), (TAIL, self.tails[here])):
                groups = context.groups(costs, joint, names)
                taken = np.unravel_index(numbers, [len(group.costs) for group in groups])
                for group, rows in zip(groups, taken, strict=True):
                    offsets = (rng.random(len(rows)) * group.counts[rows]).astype(np.int64)
                    columns.append(group.members[group.starts[rows] + offsets].tolist())
            points = [known.sections[name].points for name in (*BODY, *TAIL)]
            for index, *members in zip(here.tolist(), *columns, strict=True):
                made[index] = dict(known.choices)
                for of_section, member in zip(points, members, strict=True):
                    made[index] |= of_section[member]
        return [made[index] for index in sorted(made)]


class StageSampler:
    """The stages of `StageRows`, bodies in the order of their cells, to be drawn from."""

    def __init__(
        self, costs: StageCosts, context: StageContext, rows: StageRows, grid: Grid
    ) -> None:
        """Put the bodies in order."""
        body_costs = np.concatenate([body.costs for body in rows.bodies])
        cells = grid.flat(body_costs)
        order = np.argsort(cells, kind="stable")
        multiples: list[Integers] = []
        for joint, body in zip(rows.joints, rows.bodies, strict=True):
            groups = context.groups(costs, joint, BODY)
            mixers = np.unravel_index(body.numbers, [len(group.costs) for group in groups])[0]
            multiples.append(groups[0].multiples[mixers])
        counts = np.concatenate([body.counts for body in rows.bodies])[order]
        self._steps = [grid.shape[1], 1]
        # where the bodies of each cell start, and how many points those before each one stand for
        everything = np.arange(grid.shape[0] * grid.shape[1] + 1)
        self._starts = np.searchsorted(cells[order], everything)
        self._below = np.concatenate([[0.0], np.cumsum(counts)])
        self._joints = np.repeat(rows.joints, [len(body.numbers) for body in rows.bodies])[order]
        self._numbers = np.concatenate([body.numbers for body in rows.bodies])[order]
        self._multiples = np.concatenate(multiples)[order]
        self._costs = body_costs[order]
        self._tail = rows.tail
        self._tail_cells = grid.cells(rows.tail.costs)

    def ways(self, cell: int) -> Floats:
        """Count the stages in a cell, by their tail."""
        left = np.array(divmod(cell, self._steps[0])) - self._tail_cells
        cells = np.where((left >= 0).all(axis=1), left @ self._steps, -1)
        bodies = self._below[self._starts[cells + 1]] - self._below[self._starts[cells]]
        return np.where(cells < 0, 0.0, self._tail.counts * bodies)

    def fill(
        self,
        made: DrawnStages,
        where: Integers,
        cells: Integers,
        tails: Integers,
        rng: np.random.Generator,
    ) -> None:
        """Draw a body for each tail, so that together they lie in `cells`, and note both."""
        left = cells - self._tail_cells[tails] @ self._steps
        first, last = self._starts[left], self._starts[left + 1]
        low, high = self._below[first], self._below[last]
        drawn = low + rng.random(len(where)) * (high - low)
        rows = np.searchsorted(self._below, drawn, side="right") - 1
        rows = np.clip(rows, first, last - 1)
        made.joints[where] = self._joints[rows]
        made.bodies[where] = self._numbers[rows]
        made.tails[where] = self._tail.numbers[tails]
        made.multiples[where] = self._multiples[rows]
        made.costs[where] = self._costs[rows] + self._tail.costs[tails]


@dataclass(frozen=True)
class _Made:
    """n networks of a skeleton: their stages, (n, axes) costs, and whether each is to be kept."""

    stages: list[DrawnStages]
    costs: Integers
    inside: Booleans


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
        self._grid = self.table.grid(LINE_CELLS if len(axes) < 2 else PLANE_CELLS)
        self._samplers = cache(self._make_samplers)

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

    def draw(self, count: int, rng: np.random.Generator) -> Iterator[Drawn | None]:
        """Draw `count` networks in random order, None for each that was left out; or nothing.

        Uniform among the points of the space whose costs lie between the limits.
        """
        for size, numbers in self._batches(count, rng):
            drawn = [
                network
                for skeleton, times in numbers
                for network in self._choices(skeleton, self._made(skeleton, times, rng), rng)
            ]
            yield from (drawn[index] for index in rng.permutation(size).tolist())

    def estimate(self, draws: int, rng: np.random.Generator) -> tuple[float, float]:
        """Estimate by draws how many networks there are, all limits considered.

        Returns:
            The estimate, and half of its 95 % interval (Wilson, 1927), which is never 0.
        """
        kept = sum(
            int(self._made(skeleton, times, rng).inside.sum())
            for _, numbers in self._batches(draws, rng)
            for skeleton, times in numbers
        )
        share = kept / draws
        square = NORMAL_95**2 / draws
        half = sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
        return self.weight * share, self.weight * half

    @property
    def weight(self) -> float:
        """How many networks are drawn from, with those that will be left out."""
        return float(self._weights.sum())

    @cached_property
    def _skeletons(self) -> list[Skeleton]:
        return [one for one in self.table.skeletons() if (one.cost <= self._upper).all()]

    @cached_property
    def _weights(self) -> Floats:
        return np.array([self._cells(skeleton).sum() for skeleton in self._skeletons])

    def _batches(
        self, count: int, rng: np.random.Generator
    ) -> Iterator[tuple[int, list[tuple[Skeleton, int]]]]:
        """Yield sizes of batches, each shared out among the skeletons."""
        while count > 0 and self.weight:
            size = min(count, BATCH)
            count -= size
            numbers = rng.multinomial(size, self._weights / self.weight).tolist()
            yield size, [pair for pair in zip(self._skeletons, numbers, strict=True) if pair[1]]

    def _cells(self, skeleton: Skeleton) -> Floats:
        """Count the networks of a skeleton by cell, those outside the limits left out."""
        cells = self.table.prefix(skeleton.contexts, self._grid)
        lower, upper = self._lower - skeleton.cost, self._upper - skeleton.cost
        possible, _ = self._grid.box(lower, upper, skeleton.roundings)
        kept = np.zeros_like(cells)
        kept[possible] = cells[possible]
        return kept

    def _made(self, skeleton: Skeleton, count: int, rng: np.random.Generator) -> _Made:
        """Draw stages for `count` networks of a skeleton."""
        totals = pick(self._cells(skeleton).ravel(), count, rng)
        stages: list[DrawnStages] = []
        for number in reversed(range(len(skeleton.contexts))):
            before, context = skeleton.contexts[:number], skeleton.contexts[number]
            taken = self._taken(before, context, totals, rng) if before else totals
            stages.append(self._stages(context, taken, rng))
            totals = totals - taken
        stages.reverse()
        costs = skeleton.cost + sum(made.costs for made in stages)
        inside = (costs <= self._upper).all(axis=1) & (costs >= self._lower).all(axis=1)
        return _Made(stages, costs, inside & self._belongs(skeleton, stages))

    def _choices(
        self, skeleton: Skeleton, networks: _Made, rng: np.random.Generator
    ) -> list[Drawn | None]:
        chosen = [
            made.choices(self.table.costs, context, networks.inside, rng)
            for context, made in zip(skeleton.contexts, networks.stages, strict=True)
        ]
        rows = zip(*chosen, networks.costs[networks.inside].tolist(), strict=True)
        points = (Drawn(_point(skeleton, row[:-1]), tuple(row[-1])) for row in rows)
        return [next(points) if good else None for good in networks.inside.tolist()]

    def _belongs(self, skeleton: Skeleton, stages: Sequence[DrawnStages]) -> Booleans:
        """Tell whether the windows lead to the feature map that the costs were taken on."""
        joint = np.lcm.reduce([made.multiples for made in stages], axis=0)
        known, where = np.unique(joint, return_inverse=True)
        features = skeleton.contexts[0].features
        return np.array([self.table.owner(int(multiple)) == features for multiple in known])[where]

    def _taken(
        self,
        before: tuple[StageContext, ...],
        last: StageContext,
        totals: Integers,
        rng: np.random.Generator,
    ) -> Integers:
        """Draw the cell of the last stage, for each total cell of this stage and those before."""
        rest = self.table.prefix(before, self._grid)
        alone = self.table.stages(last, self._grid)
        columns = self._grid.shape[1]
        taken = np.empty_like(totals)
        for total, which in by_value(totals):
            row, column = divmod(total, columns)
            ways = alone[: row + 1, : column + 1] * rest[row::-1, column::-1]
            picked = pick(ways.ravel(), len(which), rng)
            taken[which] = picked // (column + 1) * columns + picked % (column + 1)
        return taken

    def _stages(
        self, context: StageContext, cells: Integers, rng: np.random.Generator
    ) -> DrawnStages:
        """Draw a stage in each cell."""
        samplers = self._samplers(context)
        sampler_of, tails = np.empty_like(cells), np.empty_like(cells)
        for cell, which in by_value(cells):
            ways = [sampler.ways(cell) for sampler in samplers]
            ends = np.cumsum([len(way) for way in ways])
            picked = pick(np.concatenate(ways), len(which), rng)
            sampler_of[which] = np.searchsorted(ends, picked, side="right")
            tails[which] = picked - np.concatenate([[0], ends])[sampler_of[which]]
        joints, bodies, kinds, multiples = np.zeros((4, len(cells)), np.int64)
        costs = np.zeros((len(cells), len(self._upper)), np.int64)
        made = DrawnStages(joints, bodies, kinds, multiples, costs)
        for number, sampler in enumerate(samplers):
            here = np.flatnonzero(sampler_of == number)
            sampler.fill(made, here, cells[here], tails[here], rng)
        return made

    def _make_samplers(self, context: StageContext) -> tuple[StageSampler, ...]:
        return tuple(
            StageSampler(self.table.costs, context, rows, self._grid)
            for rows in self.table.stage_rows(context)
        )

    @property
    def _counting_grid(self) -> Grid:
        table = self.table
        if len(table.axes) != 1:
            return table.grid(PLANE_CELLS)
        units = max(1, int(self._upper[table.axes[0]]))
        if units > UNIT_CELLS:
            return table.grid(COUNT_CELLS)
        contexts = {context for one in table.skeletons() for context in one.contexts}
        stages = [
            sum(len(b.counts) * len(rows.tail.counts) for rows in tables for b in rows.bodies)
            for tables in map(table.stage_rows, contexts)
        ]
        return table.grid(units if units * max(stages) <= UNIT_WORK else COUNT_CELLS)

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


def by_value(values: Integers) -> Iterator[tuple[int, Integers]]:
    """Yield each value that occurs, and where."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    yield from zip(ranked[starts].tolist(), np.split(order, starts[1:]), strict=True)


def pick(ways: Floats, count: int, rng: np.random.Generator) -> Integers:
    """Draw `count` numbers of ways, each as likely as it is large."""
    below = np.cumsum(ways)
    return np.searchsorted(below, rng.random(count) * below[-1], side="right")


def _point(skeleton: Skeleton, stages: Sequence[Choices]) -> Choices:
    """Join the choices of the network and of its stages."""
    point = dict(skeleton.network)
    for (number, _), made in zip(leaders(skeleton.network), stages, strict=True):
        point.update({f"stage{number}.{name}": value for name, value in made.items()})
    return point


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
