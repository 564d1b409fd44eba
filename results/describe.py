"""Architectures in plain words, for reports, tables and the command line."""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CrossLayerConfig,
    StageConfig,
    counted,
)

_Item = TypeVar("_Item", bound=Hashable)


def describe_architecture(architecture: Architecture) -> str:
    """Return the architecture in one line: width, each group of equal stages, then the tail."""
    return "; ".join([f"width {architecture.width}", *describe_stages(architecture)])


def describe_stages(architecture: Architecture) -> list[str]:
    """Return a phrase for each run of equal stages, and one for what is unusual about the rest."""
    phrases = [
        f"{counted(number, 'stage')} of {_stage(stage, architecture.width)}"
        for stage, number in _runs(architecture.stages)
    ]
    return phrases + _skeleton(architecture)


def summarise(architecture: Architecture) -> str:
    """Return a few words for a narrow column: width, stages, blocks and passes."""
    blocks = [len(stage.blocks) * stage.recursions for stage in architecture.stages]
    mixers = {b.mixer.name for stage in architecture.stages for b in stage.blocks}
    return (
        f"width {architecture.width}, {counted(len(blocks), 'stage')}, "
        f"{counted(sum(blocks), 'block')} of {' and '.join(sorted(mixers))}"
    )


def _stage(stage: StageConfig, width: int) -> str:
    # Alternate blocks differ by their shift only: told once, not block by block.
    plain = [unshifted(block) for block in stage.blocks]
    blocks = [
        f"{counted(number, 'block')}: {_block(block, width)}" for block, number in _runs(plain)
    ]
    extras: list[str] = []
    if shifted := sum(block != unshifted(block) for block in stage.blocks):
        number = len(stage.blocks)
        extras.append("all shifted" if shifted == number else f"{shifted} of {number} shifted")
    if stage.recursions > 1:
        sharing = "sharing weights" if stage.tied else "each with its own weights"
        extras.append(f"{stage.recursions} passes {sharing}")
    if stage.closing != "convolution":
        names = {"depthwise": "depth-wise closing convolution", "none": "no closing convolution"}
        extras.append(names[stage.closing])
    if stage.skip != "input":
        extras.append({"output": "skip around the convolution only", "none": "no skip"}[stage.skip])
    if stage.cross_layer is not None:
        extras.append(_cross_layer(stage.cross_layer))
    return ", ".join([" then ".join(blocks), *extras])


def _block(block: BlockConfig, width: int) -> str:
    parts = [block.mixer.describe(width)]
    if block.feed_forward is not None:
        parts.append(f"{block.feed_forward.name} {block.feed_forward.hidden_dim}")
    if block.norm != "pre":
        parts.append({"post": "norm after", "none": "no norm"}[block.norm])
    return ", ".join(parts)


def _cross_layer(cross: CrossLayerConfig) -> str:
    selection = {"none": "", "soft": ", keys gated", "hard": ", keys selected"}[cross.selection]
    return (
        f"cross-layer attention to {counted(cross.references, 'earlier output')} "
        f"({counted(cross.keys, 'key')} each{selection})"
    )


def _skeleton(architecture: Architecture) -> list[str]:
    phrases: list[str] = []
    if architecture.stage_sharing > 1:
        phrases.append(f"{architecture.stage_sharing} stages share weights")
    if architecture.stem.patch_size > 1:
        phrases.append(f"patches of {architecture.stem.patch_size}×{architecture.stem.patch_size}")
    if architecture.tail.skip == "interpolated":
        base = "the interpolated input" if architecture.scale > 1 else "the input"
        phrases.append(f"output added to {base}")
    if architecture.tail.upsampler == "staged" and architecture.scale > 1:
        phrases.append("enlarged in stages")
    return phrases


def unshifted(block: BlockConfig) -> BlockConfig:
    """Return the block with windows that are not shifted."""
    return replace(block, mixer=block.mixer.unshifted())


def _runs(items: Iterable[_Item]) -> list[tuple[_Item, int]]:
    """Return each item with how often it repeats in a row."""
    return [(item, len(list(same))) for item, same in groupby(items)]
