"""How many networks of a space lie in each cell of cost: dynamic programming over the stages.

    cost of a stage = body (mixer + feed-forward, times passes) + tail (closing + cross-layer slot)

Every body and every tail is rounded down to cells by itself, so a network lies at most one cell per
rounding below its true cost. Where a cell is one unit nothing is rounded.

Stages are coupled by their windows alone: all sides of the feature map are padded to a multiple of
all windows. So there is one count for each feature map: the networks whose windows all divide its
multiple, priced on it. Those that would be padded less belong to another feature map, and are told
apart afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, reduce
from math import lcm

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from search.feasible.sections import leaders
from search.feasible.stage_costs import UNLIMITED, Groups, Integers, Known, Sizes, StageCosts
from spaces import Choices

Floats = NDArray[np.float64]

BODY = ("mixer", "feed_forward", "passes")
TAIL = ("closing", "cross")

ROUNDINGS = 2
"""Of each stage: its body and its tail."""


@dataclass(frozen=True)
class StageContext:
    """What decides which stages a network can have at one of its positions, and their costs.

    Attributes:
        known: what such a stage sees of its network.
        uses: stages that use these choices, and all their weights but the cross-layer slot's.
        features: padded feature map for each output size.
        multiple: what the sides of all windows divide.
    """

    known: Known
    uses: int
    features: Sizes
    multiple: int

    def groups(self, costs: StageCosts, joint: int, names: Sequence[str]) -> list[Groups]:
        """List the groups of some sections, for the joint choices of that number."""
        return [
            costs.groups(self.known, joint, name, self.features, self.multiple) for name in names
        ]


@dataclass(frozen=True)
class Skeleton:
    """The networks of some network choices on one feature map.

    Attributes:
        network: the choices.
        contexts: of the stages, in order.
        cost: of stem, body and tail.
    """

    network: Choices
    contexts: tuple[StageContext, ...]
    cost: Integers

    @property
    def roundings(self) -> int:
        """How many times costs are rounded before they are added."""
        return ROUNDINGS * len(self.contexts)


@dataclass(frozen=True)
class Rows:
    """Combinations of groups of two or three sections.

    Attributes:
        costs: (n, axes).
        counts: (n) points that a row stands for.
        numbers: (n) which combination each row is, first group slowest.
    """

    costs: Integers
    counts: Integers
    numbers: Integers


@dataclass(frozen=True)
class StageRows:
    """The stages of those joint choices whose tails are alike: a row of a body and one of the tail.

    Attributes:
        joints: numbers of the joint choices.
        bodies: of each of them.
        tail: of all.
    """

    joints: tuple[int, ...]
    bodies: tuple[Rows, ...]
    tail: Rows


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
        """Cut one or two axes from nothing to `upper` into about `cells` cells each.

        Without any axis everything lies in the one cell.
        """
        units = [max(1, -(-int(upper[axis]) // cells)) for axis in axes]
        shape = [int(upper[axis]) // unit + 1 for axis, unit in zip(axes, units, strict=True)]
        first, second = (*axes, 0, 0)[:2]
        one, two = (*units, UNLIMITED, UNLIMITED)[:2]
        rows, columns = (*shape, 1, 1)[:2]
        return Grid((first, second), (one, two), (rows, columns))

    def cells(self, costs: Integers) -> Integers:
        """Return the (n, 2) cells of (n, axes) costs."""
        return costs[:, list(self.axes)] // np.array(self.units)

    def flat(self, costs: Integers) -> Integers:
        """Return the (n) numbers of the cells, row by row; no cost may be beyond the grid."""
        return self.cells(costs) @ [self.shape[1], 1]

    def box(
        self, lower: Integers, upper: Integers, roundings: int
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Find the cells where networks may cost `lower` to `upper`, and those where all do.

        Args:
            lower: by column of a cost.
            upper: by column of a cost.
            roundings: how many times costs were rounded down before they were added.
        """
        possible: list[slice] = []
        certain: list[slice] = []
        for axis, unit, count in zip(self.axes, self.units, self.shape, strict=True):
            low, high, slack = int(lower[axis]), int(upper[axis]), roundings * (unit - 1)
            if unit == UNLIMITED:
                possible.append(slice(0, 1))
                certain.append(slice(0, 1))
                continue
            ends = max(0, min(count, high // unit + 1))
            possible.append(slice(max(0, -((slack - low) // unit)), ends))
            sure = max(0, min(count, (high - slack) // unit + 1))
            certain.append(slice(max(0, -(-low // unit)), sure))
        return (possible[0], possible[1]), (certain[0], certain[1])


class CountTable:
    """Counts of everything in a space that costs no more than a limit on some axes."""

    def __init__(self, costs: StageCosts, upper: Integers, axes: tuple[int, ...]) -> None:
        """Start empty.

        Args:
            costs: of the space's stages.
            upper: limits by column of a cost, `UNLIMITED` where there is none.
            axes: at most two columns that are limited.
        """
        self.costs = costs
        self.upper = upper
        self.axes = axes
        self.stage_rows = cache(self._stage_rows)
        self.stages = cache(self._stages)
        self.prefix = cache(self._prefix)

    def maps(self) -> dict[Sizes, int]:
        """Name the feature maps that tell costs apart, with the multiple counted on each."""
        multiples: dict[Sizes, int] = {}
        if not any(self.axes):  # parameters do not depend on a feature map
            return {self.owner(1): self.costs.multiples[-1]}
        for multiple in self.costs.multiples:
            features = self.costs.features(multiple)
            multiples[features] = lcm(multiple, multiples.get(features, 1))
        return multiples

    def owner(self, multiple: int) -> Sizes:
        """Return the feature map that a network with this multiple is counted on."""
        return self.costs.features(multiple if any(self.axes) else self.costs.multiples[-1])

    def parts(self, features: Sizes) -> dict[int, int]:
        """Say which counts add up to the networks that belong to a feature map.

        Returns:
            For a multiple, how often (negative to take away) to count the networks on the feature
            map whose windows all divide it.
        """
        times: dict[int, int] = {}
        for multiple in reversed(self.costs.multiples):
            wanted = int(self.owner(multiple) == features)
            times[multiple] = wanted - sum(n for more, n in times.items() if more % multiple == 0)
        return {multiple: n for multiple, n in times.items() if n}

    def skeletons(self) -> list[Skeleton]:
        """List every skeleton on every feature map."""
        return [
            self.skeleton(network, features, multiple)
            for features, multiple in self.maps().items()
            for network in self.costs.networks
        ]

    def skeleton(self, network: Choices, features: Sizes, multiple: int) -> Skeleton:
        """Return the networks on a feature map whose windows divide `multiple`."""
        contexts = tuple(
            StageContext(self.costs.known(network, number), uses, features, multiple)
            for number, uses in leaders(network)
        )
        return Skeleton(network, contexts, self.costs.skeleton_costs(network, features))

    def grid(self, cells: int) -> Grid:
        """Cut the limits into about so many cells on each axis."""
        return Grid.over(self.upper, self.axes, cells)

    def _stage_rows(self, context: StageContext) -> tuple[StageRows, ...]:
        """List all stages of a context that cost no more than the limits."""
        alike: dict[bytes, list[tuple[int, Rows]]] = {}
        tails: dict[bytes, Rows] = {}
        for number in range(len(self.costs.joint_choices(context.known))):
            tail = self._within(*_tail(context, context.groups(self.costs, number, TAIL)))
            body = self._within(*_body(context, context.groups(self.costs, number, BODY)))
            key = b"".join(part.tobytes() for part in (tail.costs, tail.counts, tail.numbers))
            tails[key] = tail
            if len(body.counts) and len(tail.counts):
                alike.setdefault(key, []).append((number, body))
        return tuple(
            StageRows(tuple(n for n, _ in pairs), tuple(body for _, body in pairs), tails[key])
            for key, pairs in alike.items()
        )

    def _within(self, costs: Integers, groups: Sequence[Groups]) -> Rows:
        """Keep the combinations that cost no more than the limits on every axis."""
        counts = reduce(lambda a, b: np.multiply.outer(a, b).ravel(), [g.counts for g in groups])
        costs = costs.reshape(len(counts), costs.shape[-1])
        numbers = np.flatnonzero((costs <= self.upper).all(axis=1))
        return Rows(costs[numbers], counts[numbers], numbers)

    def _stages(self, context: StageContext, grid: Grid) -> Floats:
        """Count the stages of a context in each cell."""
        total = np.zeros(grid.shape)
        for rows in self.stage_rows(context):
            bodies = np.zeros(grid.shape)
            for body in rows.bodies:
                cells = grid.flat(body.costs)
                counts = np.bincount(cells, weights=body.counts, minlength=bodies.size)
                bodies += counts.reshape(grid.shape)
            cells, where = np.unique(grid.cells(rows.tail.costs), axis=0, return_inverse=True)
            counts = np.bincount(where.ravel(), weights=rows.tail.counts)
            for (row, column), count in zip(cells.tolist(), counts.tolist(), strict=True):
                inside = bodies[: grid.shape[0] - row, : grid.shape[1] - column]
                total[row:, column:] += count * inside
        return total

    def _prefix(self, contexts: tuple[StageContext, ...], grid: Grid) -> Floats:
        """Count the networks of these stages alone, by cell."""
        last = self.stages(contexts[-1], grid)
        return last if len(contexts) == 1 else joined(self.prefix(contexts[:-1], grid), last)


def joined(left: Floats, right: Floats) -> Floats:
    """Count the pairs of one from each in each cell; only sums of positive numbers are taken."""
    total = np.zeros_like(left)
    size = left.shape[1]
    for row in map(int, np.flatnonzero(right.any(axis=1))):
        padded = np.concatenate([np.zeros(size - 1), right[row]])
        convolving = sliding_window_view(padded, size)[::-1]  # cut off at the end
        total[row:] += left[: len(left) - row] @ convolving
    return total


def _body(context: StageContext, groups: Sequence[Groups]) -> tuple[Integers, Sequence[Groups]]:
    """Return the costs of all combinations of groups of `BODY`, and the groups."""
    mixers, feed_forwards, passes = groups
    once = mixers.costs[:, None, :] + feed_forwards.costs[None, :, :]
    copies, runs = passes.costs.T
    # parameters once for each set of weights, work once for each pass of each stage
    factors = np.stack([copies, *[runs * context.uses] * (once.shape[2] - 1)], axis=1)
    return once[:, :, None, :] * factors, groups


def _tail(context: StageContext, groups: Sequence[Groups]) -> tuple[Integers, Sequence[Groups]]:
    """Return the costs of all combinations of groups of `TAIL`, and the groups."""
    closings, slots = groups
    closing = closings.costs * context.uses
    closing[:, 0] = closings.costs[:, 0]  # its weights are shared, those of the slot are not
    return closing[:, None, :] + (slots.costs * context.uses)[None, :, :], groups
