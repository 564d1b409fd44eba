"""Choices that make a stage most like one that may be no point of the space."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeAlias, Union

from pydantic import TypeAdapter

from lightir_core.architecture import StageConfig
from lightir_core.errors import ArchitectureError
from spaces.decode import STAGE_DEFAULTS, decode_stage
from spaces.space import Choices, Space

_PLAIN = TypeAdapter(StageConfig)

Plain: TypeAlias = Union[dict[str, "Plain"], list["Plain"], str, float, bool, None]  # noqa: UP007
"""What JSON can hold."""


def resembling(space: Space, stage: StageConfig, width: int) -> Choices:
    """Return the choices of `space` whose stage is most like `stage`, at the same width.

    Each is the best beside the others, the first of equal ones; in a second round the others are no
    longer the defaults. What a rule forbids beside other widths is not looked at.
    """
    wanted, made = _PLAIN.dump_python(stage, mode="json"), Choices()
    for dimension in space.stage * 2:
        made.pop(dimension.name, None)
        if dimension.is_active(STAGE_DEFAULTS | made):
            likenesses = [
                _likeness({**made, dimension.name: value}, wanted, width)
                for value in dimension.values
            ]
            made[dimension.name] = dimension.values[likenesses.index(max(likenesses))]
    return made


def _likeness(choices: Choices, wanted: Plain, width: int) -> float:
    try:
        made = _PLAIN.dump_python(decode_stage(choices, width), mode="json")
    except ArchitectureError:  # such a choice cannot be beside the defaults
        return -1.0
    return likeness(made, wanted)


def likeness(one: Plain, other: Plain) -> float:
    """Count how many values two plain values share; numbers that are near count in part."""
    if isinstance(one, dict) and isinstance(other, dict):
        return sum(likeness(one[key], other[key]) for key in one if key in other)
    if isinstance(one, list) and isinstance(other, list):
        return sum(map(likeness, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float) and one > 0 and other > 0:
        return min(one, other) / max(one, other)
    return float(one == other)


def every_size(space: Space, stages: Sequence[Choices]) -> Iterator[Choices]:
    """Yield the points with such stages at every width, number of stages and of blocks."""
    counts = [int(value) for value in space.dimension("stages").values]
    blocks = next((d.values for d in space.stage if d.name == "blocks"), (None,))
    for width in space.dimension("width").values:
        for count in counts:
            for depth in blocks:
                wish: Choices = {"width": width, "stages": count, "stage_sharing": 1}
                for number in range(1, count + 1):
                    alike = stages[min(number, len(stages)) - 1]
                    alike = alike if depth is None else {**alike, "blocks": depth}
                    wish |= {f"stage{number}.{name}": value for name, value in alike.items()}
                point = space.complete(wish, random.Random(0))
                if all(wish.get(name, value) == value for name, value in point.items()):
                    yield point
