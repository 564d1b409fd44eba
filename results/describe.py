"""Architectures in plain words, for reports, tables and the command line."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    CrossLayerConfig,
    DepthwiseMlpConfig,
    DsgmConfig,
    FeedForward,
    Mixer,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    StageConfig,
    WindowAttentionConfig,
    inner_dims,
)

_Item = TypeVar("_Item", bound=Hashable)


def in_words(architecture: Architecture) -> str:
    """The architecture in one line: width, then each group of equal stages, then the tail."""
    return "; ".join([f"width {architecture.width}", *stages_in_words(architecture)])


def stages_in_words(architecture: Architecture) -> list[str]:
    """One phrase for each run of equal stages, and one for what is unusual about the rest."""
    phrases = [
        f"{_count(number, 'stage')} of {_stage(stage, architecture.width)}"
        for stage, number in _runs(architecture.stages)
    ]
    return phrases + _skeleton(architecture)


def short_words(architecture: Architecture) -> str:
    """A few words for a narrow column: width, stages, blocks and passes."""
    blocks = [len(stage.blocks) * stage.recursions for stage in architecture.stages]
    mixers = {_KINDS[type(b.mixer)] for stage in architecture.stages for b in stage.blocks}
    return (
        f"width {architecture.width}, {_count(len(blocks), 'stage')}, "
        f"{_count(sum(blocks), 'block')} of {' and '.join(sorted(mixers))}"
    )


_KINDS: dict[type[Mixer], str] = {
    WindowAttentionConfig: "window attention",
    CascadeAttentionConfig: "cascade attention",
    ResidualConvolutionConfig: "convolution",
}


def _stage(stage: StageConfig, width: int) -> str:
    # Alternate blocks differ by their shift only: told once, not block by block.
    plain = [_unshifted(block) for block in stage.blocks]
    blocks = [
        f"{_count(number, 'block')}: {_block(block, width)}" for block, number in _runs(plain)
    ]
    extras = [*_shifts(stage.blocks), *_passes(stage)]
    if stage.closing != "convolution":
        names = {"depthwise": "depth-wise closing convolution", "none": "no closing convolution"}
        extras.append(names[stage.closing])
    if stage.skip != "input":
        extras.append({"output": "skip around the convolution only", "none": "no skip"}[stage.skip])
    if stage.cross_layer is not None:
        extras.append(_cross_layer(stage.cross_layer))
    return ", ".join([" then ".join(blocks), *extras])


def _block(block: BlockConfig, width: int) -> str:
    parts = [_mixer(block.mixer, width)]
    if block.feed_forward is not None:
        parts.append(_feed_forward(block.feed_forward))
    if block.norm != "pre":
        parts.append({"post": "norm after", "none": "no norm"}[block.norm])
    return ", ".join(parts)


def _mixer(mixer: Mixer, width: int) -> str:
    if isinstance(mixer, ResidualConvolutionConfig):
        hidden = "" if mixer.hidden_dim is None else f" {mixer.hidden_dim} wide"
        return f"residual convolutions {mixer.kernel_size}×{mixer.kernel_size}{hidden}"
    if isinstance(mixer, CascadeAttentionConfig):
        cascade = "" if mixer.cascade else ", heads apart"
        return (
            f"cascade attention {_side(mixer.window_size)}, {_count(mixer.num_heads, 'head')} "
            f"(keys {mixer.key_dim}){cascade}"
        )
    return ", ".join(_window_attention(mixer, width))


def _window_attention(mixer: WindowAttentionConfig, width: int) -> Iterable[str]:
    yield f"window attention {_side(mixer.window_size)}"
    heads = _count(mixer.num_heads, "head")
    if mixer.key_dim is not None or mixer.value_dim is not None:
        keys, values = inner_dims(mixer, width)
        heads += f" (keys {keys}, values {values})"
    yield heads
    if mixer.projection != ProjectionConfig():
        yield f"{_projection(mixer.projection)} projections"
    if mixer.output.groups > 1:
        yield f"{_projection(mixer.output)} output"
    if mixer.logits == "cosine":
        yield "cosine logits"
    if mixer.position is None:
        yield "no position bias"
    elif mixer.position.kind == "exponential":
        yield f"exponential-space position bias (M={mixer.position.hidden})"
    if mixer.channel is not None:
        yield f"channel branch of {_count(mixer.channel.num_heads, 'head')}"
    if mixer.depthwise_value:
        yield "depth-wise values"


def _projection(projection: ProjectionConfig) -> str:
    words = [f"grouped (g={projection.groups})"] if projection.groups > 1 else []
    words += ["residual"] if projection.residual else []
    words += [] if projection.bias else ["bias-free"]
    return " ".join(words) or "dense"


def _feed_forward(feed_forward: FeedForward) -> str:
    return f"{_FEED_FORWARDS[type(feed_forward)]} {feed_forward.hidden_dim}"


_FEED_FORWARDS: dict[type[FeedForward], str] = {
    MlpConfig: "MLP",
    DepthwiseMlpConfig: "depth-wise MLP",
    DsgmConfig: "gated DSGM",
}


def _shifts(blocks: Sequence[BlockConfig]) -> list[str]:
    shifted = sum(block != _unshifted(block) for block in blocks)
    if shifted == 0:
        return []
    return ["all shifted"] if shifted == len(blocks) else [f"{shifted} of {len(blocks)} shifted"]


def _passes(stage: StageConfig) -> list[str]:
    if stage.recursions == 1:
        return []
    sharing = "sharing weights" if stage.tied else "each with its own weights"
    return [f"{stage.recursions} passes {sharing}"]


def _cross_layer(cross: CrossLayerConfig) -> str:
    selection = {"none": "", "soft": ", keys gated", "hard": ", keys selected"}[cross.selection]
    return (
        f"cross-layer attention to {_count(cross.references, 'earlier output')} "
        f"({_count(cross.keys, 'key')} each{selection})"
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


def _unshifted(block: BlockConfig) -> BlockConfig:
    if isinstance(block.mixer, ResidualConvolutionConfig):
        return block
    return replace(block, mixer=replace(block.mixer, shift_size=(0, 0)))


def _runs(items: Iterable[_Item]) -> list[tuple[_Item, int]]:
    """Each item with how often it repeats in a row."""
    return [(item, len(list(same))) for item, same in groupby(items)]


def _side(side: tuple[int, int]) -> str:
    return f"{side[0]}×{side[1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
