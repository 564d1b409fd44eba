"""How many networks of a space a budget allows, as far as costs add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from search.feasible.convolve import Chain, Chains
from search.feasible.exact import pairs_between
from search.feasible.grid import Floats, Grid
from search.feasible.sample import PLANE_CELLS
from search.feasible.stage_costs import UNLIMITED, Integers, Sizes

EXACT_CELLS = 2**20
"""Up to so many units a single axis is counted unit by unit."""

LINE_CELLS = 2**14
"""Cells of a single axis that is too long for that."""


@dataclass(frozen=True)
class Count:
    """How many networks fit; at least and at most, which are equal if nothing was rounded."""

    least: float
    most: float

    @property
    def is_exact(self) -> bool:
        """Whether the number is known to the last digit."""
        return isinstance(self.most, int) and self.least == self.most


def count(chains: Chains, lower: Integers, upper: Integers) -> Count:
    """Networks whose cost is from `lower` to `upper`.

    Exact, in whole numbers, where the limits are on one axis of at most `EXACT_CELLS` units, which
    parameters usually are, and in spaces of few different costs. Else costs are rounded to cells,
    `PLANE_CELLS` on each of two axes, in double precision: then the truth lies between the two
    numbers, the lower of which is 0 if limits hold at several sizes.

    Args:
        chains: with limits not below `upper`.
        lower: by column of a cost.
        upper: by column of a cost.
    """
    # a grid has only the columns of the largest size
    told = len(chains.axes) == len(np.flatnonzero((lower > 0) | (upper < UNLIMITED)))
    for find in _ways(chains, lower, upper, told):
        found = _over_maps(chains, find)
        if found is not None:
            return Count(max(0, found[0]), found[1])
    raise AssertionError("the last way counts whatever there is")


Find = Callable[[Sizes, int], "tuple[float, float] | None"]
"""Networks on a feature map whose windows divide a multiple, at least and at most."""


def _ways(chains: Chains, lower: Integers, upper: Integers, told: bool) -> Iterator[Find]:
    """Ways of counting, the exact ones first."""
    on_line = len(chains.axes) == 1 and int(chains.upper[chains.axes[0]]) <= EXACT_CELLS
    if not (on_line and told):
        yield lambda features, multiple: _tabled(chains, features, multiple, lower, upper)
    for grid in _grids(chains):

        def found(features: Sizes, multiple: int, grid: Grid = grid) -> tuple[float, float] | None:
            between = _of_map(chains, features, multiple, grid, lower, upper)
            return between if told or between is None else (0.0, between[1])

        yield found


def _over_maps(chains: Chains, find: Find) -> tuple[float, float] | None:
    """What all feature maps hold; None where `find` cannot tell."""
    least: float = 0
    most: float = 0
    for features in chains.maps():
        for multiple, times in chains.parts(features).items():
            found = find(features, multiple)
            if found is None:
                return None
            sure, possible = found if times > 0 else found[::-1]
            least, most = least + times * sure, most + times * possible
    return least, most


def _tabled(
    chains: Chains, features: Sizes, multiple: int, lower: Integers, upper: Integers
) -> tuple[int, int] | None:
    """The exact number, where there are few different costs."""
    total = 0
    for network in chains.ledger.networks:
        chain = chains.chain(network, features, multiple)
        table = chains.table(chain.places)
        if table is None:
            return None
        total += table.between(lower - chain.skeleton, upper - chain.skeleton)
    return total, total


def _grids(chains: Chains) -> Iterator[Grid]:
    if len(chains.axes) == 1:
        units = int(chains.upper[chains.axes[0]])
        yield chains.grid(EXACT_CELLS if units <= EXACT_CELLS else LINE_CELLS)
    yield chains.grid(PLANE_CELLS)


def _of_map(
    chains: Chains, features: Sizes, multiple: int, grid: Grid, lower: Integers, upper: Integers
) -> tuple[float, float] | None:
    """At least and at most so many; None where the numbers are too long for this grid."""
    least: float = 0
    most: float = 0
    in_units = grid.shape[1] == 1 and grid.shape[0] > PLANE_CELLS + 1
    for network in chains.ledger.networks:
        chain = chains.chain(network, features, multiple)
        if (np.array(chain.skeleton) > upper).any():
            continue
        possible, certain = grid.box(lower - chain.skeleton, upper - chain.skeleton, chain.rounded)
        if in_units:
            found = _along(chains, chain, grid, certain[0], possible[0])
            if found is None:
                return None
            least, most = least + found[0], most + found[1]
        else:
            cells = chains.prefix(chain.places, grid)
            least, most = least + _sum(cells, certain), most + _sum(cells, possible)
    return least, most


def _sum(cells: Floats, box: tuple[slice, slice]) -> float:
    return float(cells[box].sum())


def _along(
    chains: Chains, chain: Chain, grid: Grid, certain: slice, possible: slice
) -> tuple[int, int] | None:
    """Whole numbers in two ranges of a single axis."""
    middle = (len(chain.places) + 1) // 2
    left = chains.line(chain.places[:middle], grid)
    right = chains.line(chain.places[middle:], grid)
    if left is None or right is None:
        return None
    least, most = (
        pairs_between(left, right, int(span.start), int(span.stop) - 1)
        if span.start < span.stop
        else 0
        for span in (certain, possible)
    )
    return least, most
