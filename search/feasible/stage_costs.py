"""What the choices of a stage cost, section by section: a few thousand entries for a whole space.

A cost is a row of integers: parameters, then MACs at each output size.

How many networks lie in each cell of cost is counted by dynamic programming over the stages:

    cost of a stage = body (mixer + feed-forward, times passes) + tail (closing + cross-layer slot)

Every body and every tail is rounded down to cells by itself, so a network lies at most one cell per
rounding below its true cost. Where a cell is one unit nothing is rounded.

Stages are coupled by their windows alone: all sides of the feature map are padded to a multiple of
all windows. So there is one count for each feature map: the networks whose windows all divide its
multiple, priced on it. Those that would be padded less belong to another feature map, and are told
apart afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, reduce
from math import lcm

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from budgets.budget import Size
from budgets.parts import Kind, Part, Settings, cross_parts, feature_size, stage_parts
from budgets.price import measure_parts, part_cost, skeleton_cost
from lightir_core.architecture import Architecture, StageConfig
from spaces.decode import TaskShape, Value, decode_stage
from spaces.sections import SECTIONS, joint_choices, leaders, section_points, section_reads
from spaces.space import Choices, Space, depends

Integers = NDArray[np.int64]

Booleans = NDArray[np.bool_]

Sizes = tuple[Size, ...]
"""The padded feature map for each output size."""

UNLIMITED = 2**62
"""In place of a limit where there is none."""

Known = tuple[tuple[str, Value], ...]
"""Some choices, as a key."""

KINDS: dict[str, tuple[Kind, ...]] = {
    "mixer": ("mixer",),
    "feed_forward": ("shell", "feed_forward"),
    "passes": (),
    "closing": ("closing",),
    "cross": ("cross_layer",),
}
"""The parts of a stage that each section decides."""

_ANY_SIZE = Size(1, 1)


@dataclass(frozen=True)
class Section:
    """The points of one section of a stage.

    Attributes:
        points: their choices.
        parts: (n, k) numbers of the parts that each builds, filled up with 0, which is nothing.
        multiples: (n) what the feature map's sides must divide by.
        repeats: (n, 2) sets of weights of the blocks, and passes over them.
    """

    points: tuple[Choices, ...]
    parts: Integers
    multiples: Integers
    repeats: Integers


@dataclass(frozen=True)
class JointChoices:
    """Settled choices, and the sections that are independent then."""

    choices: Choices
    sections: dict[str, Section]


@dataclass(frozen=True)
class Groups:
    """Points of a section, those of equal cost and multiple together.

    Attributes:
        costs: (g, axes).
        multiples: (g) what the feature map's sides must divide by.
        starts: (g + 1) where each group starts in `members`.
        members: numbers of points, group by group.
    """

    costs: Integers
    multiples: Integers
    starts: Integers
    members: Integers

    @property
    def counts(self) -> Integers:
        """Count the points in each group."""
        return np.diff(self.starts)


class StageCosts:
    """Costs of a space's stages and skeletons for a task, at some output sizes."""

    def __init__(self, space: Space, shape: TaskShape, sizes: Sizes) -> None:
        """Start empty; whatever is asked for is priced then."""
        self.space = space
        self.shape = shape
        self.sizes = sizes
        # cached by value: the same things are asked for again and again
        self.joint_choices = cache(self._joint_choices)
        self.groups = cache(self._groups)
        self.features = cache(self._features)
        self._section = cache(self._make_section)
        self._part_costs = cache(self._price_part)
        self._numbers: dict[tuple[Kind, Settings], int] = {}
        self._parts: list[tuple[Kind, Settings]] = []

    @cached_property
    def networks(self) -> tuple[Choices, ...]:
        """Every combination of the network's own choices."""
        return tuple(self.space.skeletons())

    @cached_property
    def multiples(self) -> tuple[int, ...]:
        """Every padding multiple that a network of the space can have, smallest first."""
        multiples = {1}
        for multiple in {m for _, joint in self._all() for m in joint.sections["mixer"].multiples}:
            multiples |= {lcm(multiple, other) for other in multiples}
        return tuple(sorted(multiples))

    def known(self, network: Mapping[str, Value], number: int) -> Known:
        """Return what a stage can see of its network: stages that see the same are equal."""
        choices: Choices = {**network, "stage": number}
        read = frozenset[str]().union(*(depends(d) for d in self.space.stage)) | {"width"}
        return tuple((name, choices[name]) for name in sorted(read) if name in choices)

    def skeleton_costs(self, network: Mapping[str, Value], features: Sizes) -> Integers:
        """Return the cost of stem, body and tail."""
        costs = [skeleton_cost(self._skeleton(network), size) for size in features]
        return np.array([costs[0].params, *(cost.macs for cost in costs)])

    def fill(self, wanted: Mapping[Sizes, int], workers: int = 1) -> int:
        """Measure all parts that are not known yet, and return how many those were.

        Args:
            wanted: feature maps, and the multiple that the windows of parts on them divide.
            workers: processes that measure.
        """
        pairs = {
            (Part(*self._parts[number - 1], width), size): None
            for width, joint in self._all()
            for section in joint.sections.values()
            for features, limit in wanted.items()
            for number in map(int, np.unique(section.parts[limit % section.multiples == 0]))
            if number
            for size in features
        }
        return measure_parts(list(pairs), workers)

    def _features(self, multiple: int) -> Sizes:
        """Return the padded feature maps where everything divides by `multiple`."""
        patch = self._skeleton(self.networks[0]).stem.patch_size
        return tuple(feature_size(self.shape.scale, patch, multiple, size) for size in self.sizes)

    def _skeleton(self, network: Mapping[str, Value]) -> Architecture:
        """Build the skeleton of `network`; its only stage does not matter."""
        smallest = {**network, "stages": 1, "stage_sharing": 1, "stage1.mixer": "convolution"}
        return self.space.decode(smallest, self.shape)

    def _all(self) -> Iterator[tuple[int, JointChoices]]:
        """Yield all joint choices with the width of their network."""
        seen = {
            self.known(network, number): int(network["width"])
            for network in self.networks
            for number, _ in leaders(network)
        }
        for known, width in seen.items():
            for joint in self.joint_choices(known):
                yield width, joint

    def _joint_choices(self, known: Known) -> tuple[JointChoices, ...]:
        """List the stages of a network of which so much is known."""
        made: list[JointChoices] = []
        for joint in joint_choices(self.space, dict(known)):
            sections: dict[str, Section] = {}
            for name in SECTIONS:
                # no mixer depends on the width, nor on the feed-forward behind it
                width = 1 if name == "mixer" else int(dict(known)["width"])
                read = section_reads(self.space, name)
                seen = tuple(pair for pair in known if pair[0] in read)
                sections[name] = self._section(name, width, tuple(joint.items()), seen)
            made.append(JointChoices(joint, sections))
        return tuple(made)

    def _make_section(self, name: str, width: int, joint: Known, seen: Known) -> Section:
        is_mixer = name == "mixer"
        points = section_points(self.space, name, dict(seen), dict(joint))
        others: Choices = {"feed_forward": "none"} if is_mixer else {}
        stages = [decode_stage({**dict(joint), **others, **point}, width) for point in points]
        rows = [self._part_numbers(name, stage) for stage in stages]
        parts = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
        for number, row in enumerate(rows):
            parts[number, : len(row)] = row
        return Section(
            tuple(points),
            parts,
            np.array([s.window_multiple if is_mixer else 1 for s in stages], np.int64),
            np.array([(1 if s.tied else s.recursions, s.recursions) for s in stages], np.int64),
        )

    def _part_numbers(self, name: str, stage: StageConfig) -> list[int]:
        """Number the parts that a section of a stage builds, from 1."""
        numbers: list[int] = []
        for part in _parts_of(stage):
            if part.kind in KINDS[name]:
                key = part.kind, part.settings
                if key not in self._numbers:
                    self._parts.append(key)
                    self._numbers[key] = len(self._parts)
                numbers.append(self._numbers[key])
        return numbers

    def _groups(
        self, known: Known, index: int, name: str, features: Sizes, multiple: int
    ) -> Groups:
        """Group the points, of a section of one of the joint choices, whose windows fit."""
        section = self.joint_choices(known)[index].sections[name]
        fitting = np.flatnonzero(multiple % section.multiples == 0)
        if name == "passes":
            costs = section.repeats[fitting]
        else:
            costs = self._costs(section.parts[fitting], int(dict(known)["width"]), features)
        return _grouped(costs, section.multiples[fitting], fitting)

    def _costs(self, parts: Integers, width: int, features: Sizes) -> Integers:
        """Return the (n, axes) costs of rows of parts."""
        numbers, where = np.unique(np.append(parts, 0), return_inverse=True)
        costs = np.array([self._part_costs(number, width, features) for number in numbers.tolist()])
        return costs[where[:-1].reshape(parts.shape)].sum(axis=1)

    def _price_part(self, number: int, width: int, features: Sizes) -> tuple[int, ...]:
        if not number:
            return (0,) * (1 + len(features))
        part = Part(*self._parts[number - 1], width)
        costs = [part_cost(part, size) for size in features]
        return costs[0].params, *(cost.macs for cost in costs)


@lru_cache(maxsize=2**16)
def _parts_of(stage: StageConfig) -> tuple[Part, ...]:
    """List the parts of a stage; their width does not matter."""
    uses = *stage_parts(stage, 1, _ANY_SIZE), *cross_parts(stage, 1, _ANY_SIZE)
    return tuple(use.part for use in uses)


def _grouped(costs: Integers, multiples: Integers, numbers: Integers) -> Groups:
    if not len(numbers):
        return Groups(costs, multiples, np.zeros(1, np.int64), numbers)
    keys = np.column_stack([multiples, costs])
    order = np.lexsort(keys.T[::-1])
    ranked = keys[order]
    new = np.concatenate(([True], (ranked[1:] != ranked[:-1]).any(axis=1)))
    starts = np.flatnonzero(new)
    first = order[starts]
    return Groups(costs[first], multiples[first], np.append(starts, len(numbers)), numbers[order])


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
