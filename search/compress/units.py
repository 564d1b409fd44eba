"""The structural units of an architecture: every width in it that can shrink, and what is left.

    width       channels of the trunk, in all stages at once
    heads       whole heads of a window attention
    keys        width of each head's queries and keys (window attention and GSWA)
    values      width of each head's values
    inner       both at once where a channel branch (CASA) ties them together
    hidden      hidden channels of a feed-forward (MLP, depth-wise MLP, DSGM)
    convolution hidden channels of a residual convolution
    position    hidden channels of an exponential-space position bias
    cross_keys  keys that a cross-layer module reads per reference

A unit's channels lie in lanes that must keep equally many: heads are equally wide, groups of a
projection equally large, and the passes of an untied stage, or stages that share weights, have one
number for all of them. What has no unit cannot shrink by nature: image channels, the channels that
a pixel shuffle takes apart, heads that do not fall into the groups of a projection, and the heads
of GSWA, which are slices of the trunk. Projections must be plain (see `search.compress.fold`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    ExponentialPositionConfig,
    Mixer,
    ResidualConvolutionConfig,
    StageConfig,
    WindowAttentionConfig,
    inner_dims,
)

FLOOR = 0.25
"""Least share of its channels that a unit keeps."""


@dataclass(frozen=True, order=True)
class Unit:
    """Where a unit stands.

    Attributes:
        kind: one of those above.
        stage: number of the stage whose weights it is in; of stages that share, the first. −1 is
            the whole network.
        block: number in the stage; −1 is the stage itself.
    """

    kind: str
    stage: int = -1
    block: int = -1

    def __str__(self) -> str:
        """In words, for messages."""
        place = [f"stage {self.stage}"] * (self.stage >= 0) + [f"block {self.block}"] * (
            self.block >= 0
        )
        return " ".join((self.kind.replace("_", "-"), *(f"of {', '.join(place)}",) * bool(place)))


@dataclass(frozen=True)
class Extent:
    """How many channels a unit has: `lanes` times `size`, of which each lane keeps equally many."""

    lanes: int
    size: int

    @property
    def floor(self) -> int:
        """Least channels that a lane keeps."""
        return max(1, round(self.size * FLOOR))


Shares = Mapping[Unit, Fraction]
"""What is left of each unit; a unit that is missing is whole."""


def units(architecture: Architecture) -> dict[Unit, Extent]:
    """Every unit of an architecture whose projections are plain, in a fixed order."""
    width = architecture.width
    lanes = width_lanes(architecture)
    found = {Unit("width"): Extent(lanes, width // lanes)}
    for number, stage in enumerate(architecture.stages):
        if number % architecture.stage_sharing == 0:
            for index, block in enumerate(stage.blocks):
                for kind, extent in _block_units(block, width):
                    copies = 1 if stage.tied else stage.recursions
                    here = replace(extent, lanes=extent.lanes * copies)
                    found[Unit(kind, number, index)] = here
        if stage.cross_layer is not None:
            cross = stage.cross_layer
            found[Unit("cross_keys", number)] = Extent(cross.references, cross.keys)
    return found


def width_lanes(architecture: Architecture) -> int:
    """Slices of the trunk that must stay equally wide: groups of projections, heads of GSWA."""
    lanes = 1
    for stage in architecture.stages:
        for block in stage.blocks:
            if isinstance(block.mixer, WindowAttentionConfig):
                groups = block.mixer.projection.groups, block.mixer.output.groups
                lanes = math.lcm(lanes, *groups)
            elif isinstance(block.mixer, CascadeAttentionConfig):
                lanes = math.lcm(lanes, block.mixer.num_heads)
    return lanes


def _block_units(block: BlockConfig, width: int) -> Iterator[tuple[str, Extent]]:
    mixer = block.mixer
    if isinstance(mixer, WindowAttentionConfig):
        yield from _attention_units(mixer, width)
    elif isinstance(mixer, CascadeAttentionConfig):
        yield "keys", Extent(mixer.num_heads, mixer.key_dim)
    else:
        yield "convolution", Extent(1, mixer.hidden_dim or width)
    if block.feed_forward is not None:
        yield "hidden", Extent(1, block.feed_forward.hidden_dim)


def _attention_units(mixer: WindowAttentionConfig, width: int) -> Iterator[tuple[str, Extent]]:
    key_dim, value_dim = inner_dims(mixer, width)
    heads, groups = mixer.num_heads, mixer.projection.groups
    both = math.lcm(groups, mixer.output.groups)
    if mixer.channel is None:
        lanes = math.lcm(heads, groups), math.lcm(heads, both)
        yield "keys", Extent(lanes[0], heads * key_dim // lanes[0])
        yield "values", Extent(lanes[1], heads * value_dim // lanes[1])
    else:
        both = math.lcm(both, mixer.channel.num_heads)
        lanes = math.lcm(heads, both)
        yield "inner", Extent(lanes, heads * key_dim // lanes)
    if heads % both == 0:
        yield "heads", Extent(both, heads // both)
    if isinstance(mixer.position, ExponentialPositionConfig):
        yield "position", Extent(1, mixer.position.hidden)


def narrowed(architecture: Architecture, shares: Shares) -> Architecture:
    """The architecture of which only `shares` of its units is left."""
    stages = list[StageConfig]()
    for number, stage in enumerate(architecture.stages):
        leader = number - number % architecture.stage_sharing
        blocks = tuple(
            _narrowed_block(block, architecture.width, _Left(shares, leader, index))
            for index, block in enumerate(stage.blocks)
        )
        cross = stage.cross_layer
        if cross is not None:
            cross = replace(cross, keys=_Left(shares, number, -1).of("cross_keys", cross.keys))
        stages.append(replace(stage, blocks=blocks, cross_layer=cross))
    width = _Left(shares, -1, -1).of("width", architecture.width)
    return replace(architecture, width=width, stages=tuple(stages))


@dataclass(frozen=True)
class _Left:
    """What is left of the units at one place."""

    shares: Shares
    stage: int
    block: int

    def of(self, kind: str, whole: int) -> int:
        left = whole * self.shares.get(Unit(kind, self.stage, self.block), Fraction(1))
        assert left.denominator == 1, f"{self} {kind}: {left} is not a whole number"
        return left.numerator


def _narrowed_block(block: BlockConfig, width: int, left: _Left) -> BlockConfig:
    feed_forward = block.feed_forward
    if feed_forward is not None:
        hidden = left.of("hidden", feed_forward.hidden_dim)
        feed_forward = replace(feed_forward, hidden_dim=hidden)
    return replace(
        block, mixer=_narrowed_mixer(block.mixer, width, left), feed_forward=feed_forward
    )


def _narrowed_mixer(mixer: Mixer, width: int, left: _Left) -> Mixer:
    if isinstance(mixer, CascadeAttentionConfig):
        return replace(mixer, key_dim=left.of("keys", mixer.key_dim))
    if isinstance(mixer, ResidualConvolutionConfig):
        # in figures: None would follow the width of the trunk
        return replace(mixer, hidden_dim=left.of("convolution", mixer.hidden_dim or width))
    key_dim, value_dim = inner_dims(mixer, width)
    tied = mixer.channel is not None
    position = mixer.position
    if isinstance(position, ExponentialPositionConfig):
        position = replace(position, hidden=left.of("position", position.hidden))
    return replace(
        mixer,
        num_heads=left.of("heads", mixer.num_heads),
        key_dim=left.of("inner" if tied else "keys", key_dim),
        value_dim=left.of("inner" if tied else "values", value_dim),
        position=position,
    )
