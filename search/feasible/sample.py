"""Networks drawn uniformly from those that a budget allows, as far as costs add up.

Forwards the stages are counted by cell; backwards a total is drawn, then what the last stage takes
of it, and so on to the first. Costs are rounded down in cells, so a few of the drawn networks are
over a limit after all: they are left out, which leaves the others uniform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from search.feasible.count_table import (
    BODY,
    TAIL,
    CountTable,
    Floats,
    Grid,
    Skeleton,
    StageContext,
    StageRows,
)
from search.feasible.sections import leaders
from search.feasible.stage_costs import Booleans, Integers, StageCosts
from spaces import Choices

LINE_CELLS = 1024
"""Cells on a single axis."""

PLANE_CELLS = 112
"""Cells on each of two axes."""

BATCH = 2**15
"""Networks that are drawn together."""


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
        """Draw points that some of the stages stand for, each uniformly from its groups.

        Args:
            costs: what the stages were made of.
            context: where they stand.
            which: (n) whether a point is wanted.
            rng: source of chance.
        """
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


class Sampler:
    """Draws from what a table counts, between two limits."""

    def __init__(self, table: CountTable, lower: Integers, upper: Integers) -> None:
        """Count what lies between `lower` and `upper`, by column of a cost."""
        self._table = table
        self._lower, self._upper = lower, upper
        self._grid = table.grid(LINE_CELLS if len(table.axes) < 2 else PLANE_CELLS)
        self._all = [one for one in table.skeletons() if (one.cost <= upper).all()]
        self._weights = np.array([self._cells(skeleton).sum() for skeleton in self._all])
        self._samplers = cache(self._make_samplers)

    @property
    def weight(self) -> float:
        """How many networks there are, with those that will be left out."""
        return float(self._weights.sum())

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

    def kept(self, count: int, rng: np.random.Generator) -> int:
        """Count how many of `count` draws would not be left out."""
        return sum(
            int(self._made(skeleton, times, rng).inside.sum())
            for _, numbers in self._batches(count, rng)
            for skeleton, times in numbers
        )

    def _batches(
        self, count: int, rng: np.random.Generator
    ) -> Iterator[tuple[int, list[tuple[Skeleton, int]]]]:
        """Yield sizes of batches, each shared out among the skeletons."""
        while count > 0 and self.weight:
            size = min(count, BATCH)
            count -= size
            numbers = rng.multinomial(size, self._weights / self.weight).tolist()
            yield size, [pair for pair in zip(self._all, numbers, strict=True) if pair[1]]

    def _cells(self, skeleton: Skeleton) -> Floats:
        """Count the networks of a skeleton by cell, those outside the limits left out."""
        cells = self._table.prefix(skeleton.contexts, self._grid)
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
            made.choices(self._table.costs, context, networks.inside, rng)
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
        return np.array([self._table.owner(int(multiple)) == features for multiple in known])[where]

    def _taken(
        self,
        before: tuple[StageContext, ...],
        last: StageContext,
        totals: Integers,
        rng: np.random.Generator,
    ) -> Integers:
        """Draw the cell of the last stage, for each total cell of this stage and those before."""
        rest = self._table.prefix(before, self._grid)
        alone = self._table.stages(last, self._grid)
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
        columns = np.zeros((4, len(cells)), np.int64)
        made = DrawnStages(*columns, np.zeros((len(cells), len(self._upper)), np.int64))
        for number, sampler in enumerate(samplers):
            here = np.flatnonzero(sampler_of == number)
            sampler.fill(made, here, cells[here], tails[here], rng)
        return made

    def _make_samplers(self, context: StageContext) -> tuple[StageSampler, ...]:
        return tuple(
            StageSampler(self._table.costs, context, rows, self._grid)
            for rows in self._table.stage_rows(context)
        )


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
