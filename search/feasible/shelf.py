"""The stages that can stand at a place, in the order of their cells, to be drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.feasible.factor import BODY, TAIL, Bundle, groups_of
from search.feasible.grid import Floats, Grid
from search.feasible.place import Place
from search.feasible.stage_costs import Booleans, Integers, Ledger
from spaces import Choices


@dataclass(frozen=True)
class Stages:
    """n stages at one place; the arrays are filled in place.

    Attributes:
        hubs: (n) numbers of their hubs.
        bodies: (n) which combination of groups their body is.
        tails: (n) which combination of groups their tail is.
        multiples: (n) what the sides of their windows divide.
        costs: (n, axes).
    """

    hubs: Integers
    bodies: Integers
    tails: Integers
    multiples: Integers
    costs: Integers

    @staticmethod
    def empty(count: int, axes: int) -> Stages:
        """Room for so many."""
        hubs, bodies, tails, multiples = np.zeros((4, count), np.int64)
        return Stages(hubs, bodies, tails, multiples, np.zeros((count, axes), np.int64))

    def choices(
        self, ledger: Ledger, place: Place, which: Booleans, rng: np.random.Generator
    ) -> list[Choices]:
        """Points that some of the stages stand for, each drawn uniformly from its groups.

        Args:
            ledger: what the stages were made of.
            place: where they stand.
            which: (n) whether a point is wanted.
            rng: source of chance.
        """
        made: dict[int, Choices] = {}
        for hub in np.unique(self.hubs[which]).tolist():
            here = np.flatnonzero(which & (self.hubs == hub))
            known = ledger.hubs(place.context)[hub]
            columns = [
                column
                for names, numbers in ((BODY, self.bodies[here]), (TAIL, self.tails[here]))
                for column in _members(ledger, place, hub, names, numbers, rng)
            ]
            points = [known.sections[name].points for name in (*BODY, *TAIL)]
            for index, *members in zip(here.tolist(), *columns, strict=True):
                made[index] = dict(known.choices)
                for of_section, member in zip(points, members, strict=True):
                    made[index] |= of_section[member]
        return [made[index] for index in sorted(made)]


@dataclass(frozen=True)
class Shelf:
    """The stages of a bundle, bodies in the order of their cells.

    Attributes:
        columns: of the grid.
        starts: (cells + 1) where the bodies of each cell start.
        below: (n + 1) points that bodies before each one stand for.
        hubs: (n) of each body.
        numbers: (n) of each body.
        multiples: (n) of each body.
        costs: (n, axes) of each body.
        tail_cells: (m, 2) of each tail.
        tail_counts: (m) points of each tail.
        tail_numbers: (m) of each tail.
        tail_costs: (m, axes) of each tail.
    """

    columns: int
    starts: Integers
    below: Floats
    hubs: Integers
    numbers: Integers
    multiples: Integers
    costs: Integers
    tail_cells: Integers
    tail_counts: Integers
    tail_numbers: Integers
    tail_costs: Integers

    def ways(self, cell: int) -> Floats:
        """(m) stages in a cell, by their tail."""
        places = np.array(divmod(cell, self.columns)) - self.tail_cells
        cells = np.where((places >= 0).all(axis=1), places @ [self.columns, 1], -1)
        first, last = self.starts[cells], self.starts[cells + 1]
        return np.where(cells < 0, 0.0, self.tail_counts * (self.below[last] - self.below[first]))

    def fill(
        self,
        made: Stages,
        where: Integers,
        cells: Integers,
        tails: Integers,
        rng: np.random.Generator,
    ) -> None:
        """Draw a body for each tail, so that together they lie in `cells`, and note both."""
        left = cells - self.tail_cells[tails] @ [self.columns, 1]
        low, high = self.below[self.starts[left]], self.below[self.starts[left + 1]]
        drawn = low + rng.random(len(where)) * (high - low)
        rows = np.searchsorted(self.below, drawn, side="right") - 1
        rows = np.clip(rows, self.starts[left], self.starts[left + 1] - 1)
        made.hubs[where] = self.hubs[rows]
        made.bodies[where] = self.numbers[rows]
        made.tails[where] = self.tail_numbers[tails]
        made.multiples[where] = self.multiples[rows]
        made.costs[where] = self.costs[rows] + self.tail_costs[tails]


def shelve(ledger: Ledger, place: Place, bundle: Bundle, grid: Grid) -> Shelf:
    """Put the stages of a bundle in order."""
    costs = np.concatenate([body.costs for body in bundle.bodies])
    cells = grid.flat(costs)
    order = np.argsort(cells, kind="stable")
    numbers = np.concatenate([body.numbers for body in bundle.bodies])
    counts = np.concatenate([body.counts for body in bundle.bodies])[order]
    multiples = [
        _multiples(ledger, place, hub, body.numbers)
        for hub, body in zip(bundle.hubs, bundle.bodies, strict=True)
    ]
    hubs = np.repeat(bundle.hubs, [len(body.numbers) for body in bundle.bodies])
    everything = np.arange(grid.shape[0] * grid.shape[1] + 1)
    return Shelf(
        grid.shape[1],
        np.searchsorted(cells[order], everything),
        np.concatenate([[0.0], np.cumsum(counts)]),
        hubs[order],
        numbers[order],
        np.concatenate(multiples)[order],
        costs[order],
        grid.cells(bundle.tail.costs),
        bundle.tail.counts,
        bundle.tail.numbers,
        bundle.tail.costs,
    )


def pick(ways: Floats, count: int, rng: np.random.Generator) -> Integers:
    """`count` numbers of ways, each as likely as it is large."""
    below = np.cumsum(ways)
    return np.searchsorted(below, rng.random(count) * below[-1], side="right")


def _multiples(ledger: Ledger, place: Place, hub: int, numbers: Integers) -> Integers:
    groups = groups_of(ledger, place, hub, BODY)
    return groups[0].multiples[np.unravel_index(numbers, [len(g.costs) for g in groups])[0]]


def _members(
    ledger: Ledger,
    place: Place,
    hub: int,
    names: tuple[str, ...],
    numbers: Integers,
    rng: np.random.Generator,
) -> list[list[int]]:
    """For each section, a point of the group that each combination takes."""
    groups = groups_of(ledger, place, hub, names)
    which = np.unravel_index(numbers, [len(group.costs) for group in groups])
    columns: list[list[int]] = []
    for group, taken in zip(groups, which, strict=True):
        counts = group.counts[taken]
        offsets = (rng.random(len(taken)) * counts).astype(np.int64)
        columns.append(group.members[group.starts[taken] + offsets].tolist())
    return columns
