"""What the choices of a stage cost, section by section: a few thousand entries for a whole space.

A cost is a row of integers: parameters, then MACs at each output size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import lcm

import numpy as np
from numpy.typing import NDArray

from budgets.parts import Kind, Part, Settings, cross_parts, feature_size, stage_parts
from budgets.price import measure_parts, part_cost, skeleton_cost
from budgets.units import Size
from lightir_core.architecture import Architecture, StageConfig
from spaces import Choices, Space, TaskShape, Value
from spaces.decode import decode_stage
from spaces.sections import SECTIONS, hubs, leaders, section_points, section_reads
from spaces.space import depends

Integers = NDArray[np.int64]

Booleans = NDArray[np.bool_]

Sizes = tuple[Size, ...]
"""The padded feature map for each output size."""

UNLIMITED = 2**62
"""In place of a limit where there is none."""

Context = tuple[tuple[str, Value], ...]
"""What a stage can see of its network."""

KINDS = {
    "mixer": ("mixer",),
    "feed_forward": ("shell", "feed_forward"),
    "passes": (),
    "closing": ("closing",),
    "cross": ("cross_layer",),
}
"""The parts of a stage that each section decides."""


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
class Hub:
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
        """Points in each group."""
        return np.diff(self.starts)


class Ledger:
    """Costs of a space's stages and frames for a task, at some output sizes."""

    def __init__(self, space: Space, shape: TaskShape, sizes: Sizes) -> None:
        """Start empty; whatever is asked for is priced then."""
        self.space = space
        self.shape = shape
        self.sizes = sizes
        # cached by value: the methods of a ledger are asked the same things again and again
        self.hubs = cache(self._find_hubs)
        self.groups = cache(self._group)
        self.features = cache(self._features)
        self._sections: dict[tuple[object, ...], Section] = {}
        self._numbers: dict[tuple[Kind, Settings], int] = {}
        self._costs: dict[tuple[int, Sizes], Integers] = {}

    @cached_property
    def networks(self) -> tuple[Choices, ...]:
        """Every combination of the network's own choices."""
        return tuple(self.space.skeletons())

    @cached_property
    def multiples(self) -> tuple[int, ...]:
        """Every padding multiple that a network of the space can have, smallest first."""
        stage = {m for _, hub in self._all_hubs() for m in hub.sections["mixer"].multiples}
        found = {1}
        for multiple in stage:
            found |= {lcm(multiple, other) for other in found}
        return tuple(sorted(found))

    def _features(self, multiple: int) -> Sizes:
        """The padded feature maps where everything divides by `multiple`."""
        patch = self.skeleton(self.networks[0]).stem.patch_size
        return tuple(feature_size(self.shape.scale, patch, multiple, size) for size in self.sizes)

    def context(self, network: Mapping[str, Value], number: int) -> Context:
        """What a stage can see of its network: equal contexts have equal stages."""
        known: Choices = {**network, "stage": number}
        read = frozenset[str]().union(*(depends(d) for d in self.space.stage)) | {"width"}
        return tuple((name, known[name]) for name in sorted(read) if name in known)

    def skeleton(self, network: Mapping[str, Value]) -> Architecture:
        """An architecture with the skeleton of `network`; its only stage does not matter."""
        smallest = {**network, "stages": 1, "stage_sharing": 1, "stage1.mixer": "convolution"}
        return self.space.decode(smallest, self.shape)

    def skeleton_costs(self, network: Mapping[str, Value], features: Sizes) -> Integers:
        """Cost of stem, body and tail."""
        costs = [skeleton_cost(self.skeleton(network), size) for size in features]
        return np.array([costs[0].params, *(cost.macs for cost in costs)])

    def fill(self, wanted: Mapping[Sizes, int], workers: int = 1) -> int:
        """Measure all parts that are not known yet; how many those were.

        Args:
            wanted: feature maps, and the multiple that the windows of parts on them divide.
            workers: processes that measure.
        """
        settings = list(self._numbers)
        pairs = {
            (Part(*settings[number - 1], width), size): None
            for width, hub in self._all_hubs()
            for section in hub.sections.values()
            for features, limit in wanted.items()
            for number in map(int, np.unique(section.parts[limit % section.multiples == 0]))
            if number
            for size in features
        }
        return measure_parts(list(pairs), workers)

    def _all_hubs(self) -> Iterator[tuple[int, Hub]]:
        """Every hub with the width of its network."""
        contexts = {
            self.context(network, number): int(network["width"])
            for network in self.networks
            for number, _ in leaders(network)
        }
        for context, width in contexts.items():
            for hub in self.hubs(context):
                yield width, hub

    def _find_hubs(self, context: Context) -> tuple[Hub, ...]:
        """The stages of a context."""
        known = dict(context)
        return tuple(
            Hub(hub, {name: self._section(name, known, hub) for name in SECTIONS})
            for hub in hubs(self.space, known)
        )

    def _section(self, name: str, known: Choices, hub: Choices) -> Section:
        # no mixer depends on the width, nor on the feed-forward behind it
        is_mixer = name == "mixer"
        width = 1 if is_mixer else int(known["width"])
        others: Choices = {"feed_forward": "none"} if is_mixer else {}
        read = sorted(section_reads(self.space, name) & {*known})
        key = name, width, tuple(hub.items()), tuple(known[name] for name in read)
        if key not in self._sections:
            points = section_points(self.space, name, known, hub)
            stages = [decode_stage({**hub, **others, **point}, width) for point in points]
            self._sections[key] = Section(
                tuple(points),
                self._number(name, stages),
                np.array([s.window_multiple if is_mixer else 1 for s in stages], np.int64),
                np.array([_repeats(stage) for stage in stages], np.int64).reshape(-1, 2),
            )
        return self._sections[key]

    def _number(self, name: str, stages: Sequence[StageConfig]) -> Integers:
        """Numbers of the parts that a section of each stage builds."""
        rows = [
            [
                self._numbers.setdefault((part.kind, part.settings), len(self._numbers) + 1)
                for part in _parts(stage)
                if part.kind in KINDS[name]
            ]
            for stage in stages
        ]
        longest = max(map(len, rows), default=0)
        filled = [row + [0] * (longest - len(row)) for row in rows]
        return np.array(filled, np.int64).reshape(len(rows), longest)

    def _group(
        self, context: Context, number: int, name: str, features: Sizes, multiple: int
    ) -> Groups:
        """The points of a section of one hub whose windows fit a multiple, by cost."""
        section = self.hubs(context)[number].sections[name]
        fitting = np.flatnonzero(multiple % section.multiples == 0)
        if name == "passes":
            costs = section.repeats[fitting]
        else:
            costs = self._priced(section.parts[fitting], int(dict(context)["width"]), features)
        return _grouped(costs, section.multiples[fitting], fitting)

    def _priced(self, numbers: Integers, width: int, features: Sizes) -> Integers:
        """(n, axes) costs of rows of parts."""
        size = len(self._numbers) + 1
        table = self._costs.get((width, features))
        if table is None or len(table) < size:
            # numbers are only ever added, so a shorter table is a part of the longer one
            longer = np.full((size, 1 + len(features)), -1)
            longer[0] = 0
            if table is not None:
                longer[: len(table)] = table
            table = self._costs[width, features] = longer
        missing = np.unique(numbers[table[numbers, 0] < 0])
        settings = list(self._numbers) if len(missing) else []
        for number in map(int, missing):
            part = Part(*settings[number - 1], width)
            costs = [part_cost(part, size) for size in features]
            table[number] = costs[0].params, *(cost.macs for cost in costs)
        return table[numbers].sum(axis=1)


_ANY_SIZE = Size(1, 1)


@lru_cache(maxsize=2**16)
def _parts(stage: StageConfig) -> tuple[Part, ...]:
    """The parts of a stage; their width does not matter."""
    uses = *stage_parts(stage, 1, _ANY_SIZE), *cross_parts(stage, 1, _ANY_SIZE)
    return tuple(use.part for use in uses)


def _repeats(stage: StageConfig) -> tuple[int, int]:
    return (1 if stage.tied else stage.recursions), stage.recursions


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
