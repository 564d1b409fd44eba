"""What pruning can take from an architecture: channels of its units, and whole modules.

A unit is a width that can shrink: that of the trunk in all stages at once (`width`), of a kind of
channel that a block's own table names (heads, keys, hidden, …; see `lightir_core.blocks.axes`), or
the keys that a cross-layer module reads (`cross_keys`). Its channels lie in lanes that must keep
equally many: heads are equally wide, groups of a projection equally large, and the passes of an
untied stage, or stages that share weights, have one number for all of them. What no table names
cannot shrink: image channels, the channels that a pixel shuffle takes apart, heads that do not fall
into the groups of a projection. Projections must be plain (`search.compress.surgery.fold`).

A module that may go is a branch beside a skip, so a network without it computes what it would with
the branch at zero. A stage keeps one block and one pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

from torch import Tensor

from lightir_core.architecture import Architecture, BlockConfig, StageConfig
from lightir_core.blocks.axes import Channels, Extent
from lightir_core.blocks.cross_layer import CrossLayerAttention
from lightir_core.network import Block

FLOOR = 0.25
"""Least share of its channels that a unit keeps."""


@dataclass(frozen=True, order=True)
class Unit:
    """A width that can shrink.

    Attributes:
        kind: of its channels.
        stage: number of the stage whose weights it is in; of stages that share, the first. −1 is
            the whole network.
        block: number in the stage; −1 is the stage itself.
    """

    kind: str
    stage: int = -1
    block: int = -1

    def __str__(self) -> str:
        """Return the unit in words, for messages."""
        numbers = {"stage": self.stage, "block": self.block}
        where = ", ".join(f"{name} {n}" for name, n in numbers.items() if n >= 0)
        return self.kind.replace("_", "-") + (f" of {where}" if where else "")


Shares = Mapping[Unit, Fraction]
"""What is left of each unit; a unit that is missing is whole."""


@lru_cache(maxsize=512)
def units(architecture: Architecture) -> Mapping[Unit, Extent]:
    """Return every unit of an architecture whose projections are plain, in a fixed order."""
    width, lanes = architecture.width, 1
    there: dict[Unit, Extent] = {}
    for number, stage in enumerate(architecture.stages):
        for index, block in enumerate(stage.blocks):
            for kind, extent in block_channels(block, width).extents.items():
                if kind == "width":
                    lanes = math.lcm(lanes, extent.lanes)
                elif number % architecture.stage_sharing == 0:
                    here = replace(extent, lanes=extent.lanes * copies(stage))
                    there[Unit(kind, number, index)] = here
        if stage.cross_layer is not None:
            extents = CrossLayerAttention.channels(stage.cross_layer, width).extents
            there |= {Unit(kind, number): extent for kind, extent in extents.items()}
    return {Unit("width"): Extent(lanes, width // lanes, ("width",)), **there}


@lru_cache(maxsize=2048)
def block_channels(block: BlockConfig, width: int) -> Channels:
    """Return what a block says of its channels."""
    return Block.channels(block, width)


def copies(stage: StageConfig) -> int:
    """Return how many sets of weights the blocks of a stage have."""
    return 1 if stage.tied else stage.recursions


def floor_of(extent: Extent) -> int:
    """Return the least channels that a lane keeps."""
    return max(1, round(extent.size * FLOOR))


def narrowed(architecture: Architecture, shares: Shares) -> Architecture:
    """Return the architecture of which only `shares` of its units is left."""
    there = units(architecture)
    stages = list[StageConfig]()
    for number, stage in enumerate(architecture.stages):
        leader = number - number % architecture.stage_sharing
        blocks = tuple(
            replace(block, mixer=block.mixer.explicit(architecture.width)) for block in stage.blocks
        )
        for unit, share in shares.items():
            if unit.stage == leader and unit.block >= 0:
                block = _scaled(blocks[unit.block], there[unit], share)
                blocks = (*blocks[: unit.block], block, *blocks[unit.block + 1 :])
        cross = stage.cross_layer
        for unit, share in shares.items():
            if unit.stage == number and unit.block < 0:
                cross = _scaled(cross, there[unit], share)
        stages.append(replace(stage, blocks=blocks, cross_layer=cross))
    whole = Unit("width")
    width = _whole(architecture.width * shares.get(whole, Fraction(1)))
    return replace(architecture, width=width, stages=tuple(stages))


def _scaled(settings: Any, extent: Extent, share: Fraction) -> Any:  # noqa: ANN401  any settings
    """Return the settings with the fields of an extent multiplied by `share`."""
    for path in extent.fields:
        settings = _multiplied(settings, path.split("."), share)
    return settings


def _multiplied(settings: Any, path: list[str], share: Fraction) -> Any:  # noqa: ANN401
    value = getattr(settings, path[0])
    inside = _multiplied(value, path[1:], share) if path[1:] else _whole(value * share)
    return replace(settings, **{path[0]: inside})


def _whole(left: Fraction) -> int:
    assert left.denominator == 1, f"{left} is not a whole number"
    return left.numerator


@dataclass(frozen=True, order=True)
class Drop:
    """A module that may go.

    Attributes:
        kind: a pass, a block of all passes, or a cross-layer module.
        stage: number of the stage; of stages that share weights, the first.
        index: of the pass or the block; 0 for a cross-layer module.
    """

    kind: Literal["pass", "block", "cross_layer"]
    stage: int
    index: int = 0

    def __str__(self) -> str:
        """Return the module in words, for reports."""
        where = "" if self.kind == "cross_layer" else f" {self.index}"
        return f"{self.kind.replace('_', '-')}{where} of stage {self.stage}"


def drops(architecture: Architecture) -> list[Drop]:
    """Return every module that may go next. Of tied passes, which are equal, the last is meant."""
    there: list[Drop] = []
    for number, stage in enumerate(architecture.stages):
        if number % architecture.stage_sharing == 0:
            if len(stage.blocks) > 1:
                there += [Drop("block", number, index) for index in range(len(stage.blocks))]
            if stage.recursions > 1:
                first = stage.recursions - 1 if stage.tied else 0
                there += [Drop("pass", number, index) for index in range(first, stage.recursions)]
        if stage.cross_layer is not None:
            there.append(Drop("cross_layer", number))
    return there


def without(architecture: Architecture, drop: Drop) -> Architecture:
    """Return the architecture that is left."""
    sharing = architecture.stage_sharing if drop.kind != "cross_layer" else 1
    last = drop.stage + sharing - 1
    return replace(
        architecture,
        stages=tuple(
            _shortened(stage, drop) if drop.stage <= number <= last else stage
            for number, stage in enumerate(architecture.stages)
        ),
    )


def _shortened(stage: StageConfig, drop: Drop) -> StageConfig:
    if drop.kind == "cross_layer":
        return replace(stage, cross_layer=None)
    if drop.kind == "pass":
        return replace(stage, recursions=stage.recursions - 1)
    blocks = (*stage.blocks[: drop.index], *stage.blocks[drop.index + 1 :])
    return replace(stage, blocks=blocks)


def drop_tensors(
    architecture: Architecture, tensors: Mapping[str, Tensor], drop: Drop
) -> dict[str, Tensor]:
    """Return the state dict that is left of a network of `architecture`."""
    if drop.kind == "cross_layer":
        prefix = f"cross_layers.{drop.stage}."
        return {name: t for name, t in tensors.items() if not name.startswith(prefix)}
    stay = _kept(architecture.stages[drop.stage], drop)
    prefix = f"stages.{drop.stage // architecture.stage_sharing}.blocks."
    left: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = re.match(re.escape(prefix) + r"(\d+)\.", name)
        if match is None:
            left[name] = tensor
        elif int(match[1]) in stay:
            new = stay.index(int(match[1]))
            left[f"{prefix}{new}.{name[match.end() :]}"] = tensor
    return left


def _kept(stage: StageConfig, drop: Drop) -> list[int]:
    """Return the numbers of the block modules that stay."""
    depth = len(stage.blocks)
    every = range(copies(stage) * depth)
    if drop.kind == "block":
        return [number for number in every if number % depth != drop.index]
    return list(every) if stage.tied else [n for n in every if n // depth != drop.index]
