"""What the choices of a stage cost, section by section: a few thousand entries for a whole space.

A cost is a row of integers: parameters, then MACs at each output size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import lcm

import numpy as np
from numpy.typing import NDArray

from budgets.parts import Kind, Part, Settings, cross_parts, feature_size, stage_parts
from budgets.price import measure_parts, part_cost, skeleton_cost
from budgets.units import Size
from lightir_core.architecture import Architecture, StageConfig
from search.feasible.sections import (
    SECTIONS,
    joint_choices,
    leaders,
    section_points,
    section_reads,
)
from spaces import Choices, Space, TaskShape, Value
from spaces.decode import decode_stage
from spaces.space import depends

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
