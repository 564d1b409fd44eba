"""The parts of a network that can lose inner channels, and what is left of its architecture then.

A unit is one feed-forward or residual convolution: its hidden channels touch nothing outside it.
The convolutions around a pixel shuffle, the image channels and the width that all stages share
are no units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from lightir_core.architecture import (
    Architecture,
    Block,
    FeedForward,
    ResidualConvolution,
    Stage,
)
from lightir_core.network import Network


@dataclass(frozen=True, order=True)
class Unit:
    """Where a unit stands: stage (of those with weights of their own) and block."""

    stage: int
    block: int


def units(architecture: Architecture) -> dict[Unit, int]:
    """Every unit with its number of hidden channels.

    Stages whose passes have weights of their own are left out: their copies of a block would
    lose different channels, and an architecture has one width for all of them.
    """
    own = architecture.stages[:: architecture.stage_sharing]
    return {
        Unit(number, index): hidden
        for number, stage in enumerate(own)
        if stage.tied
        for index, block in enumerate(stage.blocks)
        if (hidden := _hidden(block, architecture.width)) is not None
    }


def module_of(network: Network, unit: Unit) -> nn.Module:
    """The module that a unit stands for."""
    block = network.get_submodule(f"stages.{unit.stage}.blocks.{unit.block}")
    feed_forward = getattr(block, "feed_forward", None)
    return feed_forward if feed_forward is not None else block.get_submodule("mixer")


def narrowed(architecture: Architecture, hidden: Mapping[Unit, int]) -> Architecture:
    """The architecture with other numbers of hidden channels."""
    group = architecture.stage_sharing
    return replace(
        architecture,
        stages=tuple(
            _narrowed_stage(stage, number // group, hidden)
            for number, stage in enumerate(architecture.stages)
        ),
    )


def _narrowed_stage(stage: Stage, number: int, hidden: Mapping[Unit, int]) -> Stage:
    blocks = tuple(
        _narrowed_block(block, hidden.get(Unit(number, index)))
        for index, block in enumerate(stage.blocks)
    )
    return replace(stage, blocks=blocks)


def _narrowed_block(block: Block, hidden: int | None) -> Block:
    if hidden is None:
        return block
    if block.feed_forward is not None:
        feed_forward: FeedForward = replace(block.feed_forward, hidden_dim=hidden)
        return replace(block, feed_forward=feed_forward)
    assert isinstance(block.mixer, ResidualConvolution)
    return replace(block, mixer=replace(block.mixer, hidden_dim=hidden))


def _hidden(block: Block, width: int) -> int | None:
    if block.feed_forward is not None:
        return block.feed_forward.hidden_dim
    if isinstance(block.mixer, ResidualConvolution):
        return block.mixer.hidden_dim or width
    return None
