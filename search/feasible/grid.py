"""Costs in whole cells: how many networks lie in each cell of a budget.

Every body and every tail is rounded down to cells by itself, so a network lies at most one cell per
rounding below its true cost. Where a cell is one unit nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from search.feasible.factor import Bundle
from search.feasible.stage_costs import Integers

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """One or two axes of cost, cut into cells.

    Attributes:
        axes: columns of a cost; a second one that is the same as the first has one cell.
        units: of a cell, by axis.
        shape: cells by axis.
    """

    axes: tuple[int, int]
    units: tuple[int, int]
    shape: tuple[int, int]

    @staticmethod
    def over(upper: Integers, axes: Sequence[int], cells: int) -> Grid:
        """A grid from nothing to `upper` on one or two axes, with about `cells` cells on each.

        Without any axis everything lies in the one cell.
        """
        units, shape = [1, 1], [1, 1]
        for place, axis in enumerate(axes):
            units[place] = max(1, -(-int(upper[axis]) // cells))
            shape[place] = int(upper[axis]) // units[place] + 1
        if not axes:
            units = [2**62, 2**62]
        elif len(axes) == 1:
            units[1] = 2**62
        first, second = (*axes, 0, 0)[:2]
        return Grid((first, second), (units[0], units[1]), (shape[0], shape[1]))

    def cells(self, costs: Integers) -> Integers:
        """(n, 2) cells of (n, axes) costs."""
        return costs[:, list(self.axes)] // np.array(self.units)

    def flat(self, costs: Integers) -> Integers:
        """(n) numbers of the cells, row by row; costs beyond the grid must not be given."""
        cells = self.cells(costs)
        return cells[:, 0] * self.shape[1] + cells[:, 1]

    def box(
        self, lower: Integers, upper: Integers, rounded: int
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Cells where networks may cost from `lower` to `upper`, and cells where all of them do.

        Args:
            lower: by column of a cost.
            upper: by column of a cost.
            rounded: how many times costs were rounded down before they were added.
        """
        possible: list[slice] = []
        certain: list[slice] = []
        for axis, unit, count in zip(self.axes, self.units, self.shape, strict=True):
            low, high, slack = int(lower[axis]), int(upper[axis]), rounded * (unit - 1)
            if unit == 2**62:
                possible.append(slice(0, 1))
                certain.append(slice(0, 1))
                continue
            ends = max(0, min(count, high // unit + 1))
            possible.append(slice(max(0, -((slack - low) // unit)), ends))
            sure = max(0, min(count, (high - slack) // unit + 1))
            certain.append(slice(max(0, -(-low // unit)), sure))
        return (possible[0], possible[1]), (certain[0], certain[1])


def density(bundles: Sequence[Bundle], grid: Grid) -> Floats:
    """How many stages lie in each cell."""
    total = np.zeros(grid.shape)
    for bundle in bundles:
        bodies = np.zeros(grid.shape)
        for body in bundle.bodies:
            bodies += np.bincount(
                grid.flat(body.costs), weights=body.counts, minlength=bodies.size
            ).reshape(grid.shape)
        cells, where = np.unique(grid.cells(bundle.tail.costs), axis=0, return_inverse=True)
        counts = np.bincount(where.ravel(), weights=bundle.tail.counts)
        for (row, column), count in zip(cells.tolist(), counts.tolist(), strict=True):
            rows, columns = grid.shape[0] - row, grid.shape[1] - column
            total[row:, column:] += count * bodies[:rows, :columns]
    return total


def joined(left: Floats, right: Floats) -> Floats:
    """How many pairs of one from each lie in each cell; only sums of positive numbers are taken."""
    total = np.zeros_like(left)
    for row in map(int, np.flatnonzero(right.any(axis=1))):
        total[row:] += left[: left.shape[0] - row] @ _toeplitz(right[row])
    return total


def _toeplitz(values: Floats) -> Floats:
    """The matrix that convolves a row with `values`, cut off at the end."""
    count = len(values)
    padded = np.concatenate([np.zeros(count - 1), values])
    return sliding_window_view(padded, count)[::-1]
