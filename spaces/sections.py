"""A stage's choices in sections that are independent once a few joint choices are settled.

    stage = joint choices x mixer x feed-forward x passes x closing x cross-layer slot

The points of a stage are the product of the sections' points, for each answer to the joint choices.
What adds up over the parts of a network is so counted without going through its points one by one.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from spaces.decode import Value
from spaces.space import Choices, Dimension, Space, combinations, depends

SECTIONS: dict[str, tuple[str, ...]] = {
    "mixer": (
        *("heads", "window", "shift", "transpose", "groups", "logits", "position", "channel"),
        *("channel_heads", "depthwise_value", "key_dim"),
    ),
    "feed_forward": ("feed_forward", "ratio", "norm"),
    "passes": ("recursions", "recursion_weights"),
    "closing": ("closing", "skip"),
    "cross": ("cross_keys", "cross_references", "cross_selection"),
}
"""What decides each kind of part of a stage, beside `JOINT`."""

JOINT = ("blocks", "mixer")
"""Choices that decide parts of several sections."""

_SECTION_OF = {name: section for section, names in SECTIONS.items() for name in names}


def joint_choices(space: Space, known: Mapping[str, Value]) -> Iterator[Choices]:
    """Yield every combination of the choices that must be settled before the sections part.

    Args:
        space: whose stages are meant.
        known: choices of the network, and `stage`, the number of the stage.
    """
    names = _joint_names(space.stage)
    dimensions = [d for d in space.stage if d.name in names]
    for point in combinations(dimensions, dict(known)):
        yield {name: point[name] for name in point if name in names}


def section_points(
    space: Space, section: str, known: Mapping[str, Value], joint: Mapping[str, Value]
) -> list[Choices]:
    """List the points of one section of a stage; at least one, which may be empty.

    Args:
        space: whose stages are meant.
        section: a key of `SECTIONS`.
        known: choices of the network and the stage's number, or as many as `section_reads` names.
        joint: one of `joint_choices`.
    """
    names = set(SECTIONS[section]) - _joint_names(space.stage)
    dimensions = [d for d in space.stage if d.name in names]
    points = combinations(dimensions, {**known, **joint})
    return [{name: point[name] for name in point if name in names} for point in points]


def section_reads(space: Space, section: str) -> frozenset[str]:
    """Name all choices that decide which points a section has."""
    dimensions = [d for d in space.stage if d.name in SECTIONS[section]]
    return frozenset[str]().union(*(depends(d) for d in dimensions))


def leaders(known: Mapping[str, Value]) -> list[tuple[int, int]]:
    """List the stages that make their own choices: number, and how many stages use these."""
    stages, sharing = int(known["stages"]), int(known.get("stage_sharing", 1))
    return [(number, min(sharing, stages - number + 1)) for number in range(1, stages + 1, sharing)]


@lru_cache(maxsize=64)
def _joint_names(stage: tuple[Dimension, ...]) -> frozenset[str]:
    """Name `JOINT`, what other sections look at, and all that these depend on themselves."""
    there = {d.name: d for d in stage}
    names = {
        read
        for dimension in stage
        for read in depends(dimension)
        if read in there and _SECTION_OF.get(read) != _SECTION_OF.get(dimension.name)
    }
    names |= {name for name in JOINT if name in there}
    while more := {r for n in names for r in depends(there[n]) if r in there} - names:
        names |= more
    return frozenset(names)
