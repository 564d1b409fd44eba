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

from search.feasible.convolve import Chain, Chains
from search.feasible.grid import Floats
from search.feasible.place import Place
from search.feasible.shelf import Shelf, Stages, pick, shelve
from search.feasible.stage_costs import Booleans, Integers
from spaces import Choices
from spaces.sections import leaders

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
class _Made:
    """n networks of a chain: their stages, (n, axes) costs, and whether each is to be kept."""

    stages: list[Stages]
    costs: Integers
    inside: Booleans


class Drawer:
    """Draws from what `chains` count, between two limits."""

    def __init__(self, chains: Chains, lower: Integers, upper: Integers) -> None:
        """Count what lies between `lower` and `upper`, by column of a cost."""
        self._chains = chains
        self._lower, self._upper = lower, upper
        self._grid = chains.grid(LINE_CELLS if len(chains.axes) < 2 else PLANE_CELLS)
        self._all = [chain for chain in chains.all() if (np.array(chain.skeleton) <= upper).all()]
        self._weights = np.array([self._cells(chain).sum() for chain in self._all])
        self._shelves = cache(self._find_shelves)

    @property
    def weight(self) -> float:
        """How many networks there are, with those that will be left out."""
        return float(self._weights.sum())

    def draw(self, count: int, rng: np.random.Generator) -> Iterator[Drawn | None]:
        """`count` networks in random order, None for each that was left out; or nothing at all.

        Uniform among the points of the space whose costs lie between the limits.
        """
        for size, numbers in self._batches(count, rng):
            found = [
                drawn
                for chain, times in numbers
                for drawn in self._of_chain(chain, self._made(chain, times, rng), rng)
            ]
            yield from (found[place] for place in rng.permutation(size).tolist())

    def kept(self, count: int, rng: np.random.Generator) -> int:
        """How many of `count` draws would not be left out."""
        return sum(
            int(self._made(chain, times, rng).inside.sum())
            for _, numbers in self._batches(count, rng)
            for chain, times in numbers
        )

    def _batches(
        self, count: int, rng: np.random.Generator
    ) -> Iterator[tuple[int, list[tuple[Chain, int]]]]:
        """Sizes of batches, each shared out among the chains."""
        while count > 0 and self.weight:
            size = min(count, BATCH)
            count -= size
            numbers = rng.multinomial(size, self._weights / self.weight).tolist()
            yield size, [pair for pair in zip(self._all, numbers, strict=True) if pair[1]]

    def _cells(self, chain: Chain) -> Floats:
        """Networks of a chain by cell, those outside the limits left out."""
        cells = self._chains.prefix(chain.places, self._grid)
        skeleton = np.array(chain.skeleton)
        possible, _ = self._grid.box(self._lower - skeleton, self._upper - skeleton, chain.rounded)
        kept = np.zeros_like(cells)
        kept[possible] = cells[possible]
        return kept

    def _made(self, chain: Chain, count: int, rng: np.random.Generator) -> _Made:
        """Stages for `count` networks of a chain."""
        totals = pick(self._cells(chain).ravel(), count, rng)
        stages: list[Stages] = []
        for number in reversed(range(len(chain.places))):
            before, place = chain.places[:number], chain.places[number]
            taken = self._taken(before, place, totals, rng) if before else totals
            stages.append(self._stages(place, taken, rng))
            totals = totals - taken
        stages.reverse()
        costs = np.array(chain.skeleton) + sum(made.costs for made in stages)
        inside = (costs <= self._upper).all(axis=1) & (costs >= self._lower).all(axis=1)
        return _Made(stages, costs, inside & self._belongs(chain, stages))

    def _of_chain(
        self, chain: Chain, networks: _Made, rng: np.random.Generator
    ) -> list[Drawn | None]:
        chosen = [
            made.choices(self._chains.ledger, place, networks.inside, rng)
            for place, made in zip(chain.places, networks.stages, strict=True)
        ]
        rows = zip(*chosen, networks.costs[networks.inside].tolist(), strict=True)
        points = (Drawn(_point(chain, row[:-1]), tuple(row[-1])) for row in rows)
        return [next(points) if good else None for good in networks.inside.tolist()]

    def _belongs(self, chain: Chain, stages: Sequence[Stages]) -> Booleans:
        """Whether the windows lead to the feature map that the costs were taken on."""
        joint = np.lcm.reduce([made.multiples for made in stages], axis=0)
        known, where = np.unique(joint, return_inverse=True)
        features = chain.places[0].features
        owned = [self._chains.owner(int(multiple)) == features for multiple in known]
        return np.array(owned)[where]

    def _taken(
        self, before: tuple[Place, ...], last: Place, totals: Integers, rng: np.random.Generator
    ) -> Integers:
        """The cell of the last stage, for each total cell of this stage and those before it."""
        rest = self._chains.prefix(before, self._grid)
        own = self._chains.density(last, self._grid)
        columns = self._grid.shape[1]
        taken = np.empty_like(totals)
        for total, which in by_value(totals):
            row, column = divmod(total, columns)
            ways = own[: row + 1, : column + 1] * rest[row::-1, column::-1]
            picked = pick(ways.ravel(), len(which), rng)
            taken[which] = picked // (column + 1) * columns + picked % (column + 1)
        return taken

    def _stages(self, place: Place, cells: Integers, rng: np.random.Generator) -> Stages:
        """A stage in each cell."""
        shelves = self._shelves(place)
        shelf_of, tails = np.empty_like(cells), np.empty_like(cells)
        for cell, which in by_value(cells):
            ways = [shelf.ways(cell) for shelf in shelves]
            ends = np.cumsum([len(way) for way in ways])
            picked = pick(np.concatenate(ways), len(which), rng)
            shelf_of[which] = np.searchsorted(ends, picked, side="right")
            tails[which] = picked - np.concatenate([[0], ends])[shelf_of[which]]
        made = Stages.empty(len(cells), len(self._upper))
        for number, shelf in enumerate(shelves):
            here = np.flatnonzero(shelf_of == number)
            shelf.fill(made, here, cells[here], tails[here], rng)
        return made

    def _find_shelves(self, place: Place) -> tuple[Shelf, ...]:
        bundles = self._chains.bundles(place)
        return tuple(shelve(self._chains.ledger, place, bundle, self._grid) for bundle in bundles)


def by_value(values: Integers) -> Iterator[tuple[int, Integers]]:
    """Each value that occurs, and where."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    yield from zip(ranked[starts].tolist(), np.split(order, starts[1:]), strict=True)


def _point(chain: Chain, stages: Sequence[Choices]) -> Choices:
    """The choices of the network and of its stages."""
    point = dict(chain.network)
    for (number, _), made in zip(leaders(chain.network), stages, strict=True):
        point.update({f"stage{number}.{name}": value for name, value in made.items()})
    return point
