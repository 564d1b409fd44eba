"""The distinct parts of an architecture, and how often each is built and run.

    stem ─ (blocks ─ closing ─ cross-layer) per stage ─ body ─ tail
    block = shell (norms) + mixer + feed-forward

A part is built by the very function that the network uses. What the network does between parts
(padding, normalisation, residual sums) multiplies no matrices and holds no parameters.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from budgets.budget import Size
from lightir_core import architecture as arch
from lightir_core import network
from lightir_core.blocks import FEED_FORWARDS, MIXERS
from lightir_core.blocks.cross_layer import CrossLayerAttention

Kind = Literal[
    "stem", "shell", "mixer", "feed_forward", "block", "closing", "cross_layer", "body", "tail"
]
Settings = (
    arch.Architecture
    | arch.BlockConfig
    | arch.Mixer
    | arch.FeedForward
    | arch.CrossLayerConfig
    | str
)


@dataclass(frozen=True)
class Part:
    """One module of a network, described; equal parts cost the same at equal sizes.

    Attributes:
        kind: a key of `BUILDERS`.
        settings: what the builder takes: a `skeleton` for stem, body and tail, a block with
            stand-ins for what it holds for a shell.
        width: channels of the feature map.
    """

    kind: Kind
    settings: Settings
    width: int

    def key(self, size: Size) -> str:
        """Return the part at a feature size as canonical JSON."""
        plain = _plain(self.settings)
        return f'["{self.kind}", {plain}, {self.width}, {size.height}, {size.width}]'


@dataclass(frozen=True)
class Use:
    """A part at a feature size: `copies` sets of weights, run `passes` times a forward pass."""

    part: Part
    size: Size
    copies: int = 1
    passes: int = 1


BUILDERS: dict[Kind, Callable[[Any, int], nn.Module | None]] = {
    "stem": lambda settings, width: network.Stem(settings),
    "shell": lambda settings, width: _emptied(network.Block(settings, width)),
    "mixer": lambda settings, width: MIXERS[type(settings)](settings, width),
    "feed_forward": lambda settings, width: FEED_FORWARDS[type(settings)](settings, width),
    "block": network.Block,
    "closing": network.build_closing,
    "cross_layer": CrossLayerAttention,
    "body": lambda settings, width: network.Body(settings),
    "tail": lambda settings, width: network.Tail(settings),
}
"""The network's own builders, from (settings, width); None means that there is nothing to build."""

_PLAIN: TypeAdapter[Any] = TypeAdapter(Any)
_STAND_IN = arch.MlpConfig(hidden_dim=1)
_NO_WINDOWS = arch.StageConfig(blocks=(arch.BlockConfig(mixer=arch.ResidualConvolutionConfig()),))


def parts(architecture: arch.Architecture, size: Size) -> Iterator[Use]:
    """Yield the parts of `architecture` for an output of `size`, in the order in which they run."""
    patch = architecture.stem.patch_size
    features = feature_size(architecture.scale, patch, architecture.window_multiple // patch, size)
    stem, body, tail = skeleton_parts(architecture, features)
    yield stem
    for number, settings in enumerate(architecture.stages):
        follows = number % architecture.stage_sharing != 0
        for use in stage_parts(settings, architecture.width, features):
            yield replace(use, copies=0) if follows else use
        yield from cross_parts(settings, architecture.width, features)
    yield body
    yield tail


def stage_parts(settings: arch.StageConfig, width: int, size: Size) -> Iterator[Use]:
    """Yield blocks, taken apart, and closing convolution of one stage at a feature size."""
    copies = 1 if settings.tied else settings.recursions
    for block in settings.blocks:
        for part in block_parts(block, width):
            yield Use(part, size, copies, settings.recursions)
    if settings.closing != "none":
        yield Use(Part("closing", settings.closing, width), size)


def block_parts(block: arch.BlockConfig, width: int) -> Iterator[Part]:
    """Yield mixer, feed-forward and the shell around them: far fewer to trace than whole blocks."""
    feed_forward = block.feed_forward and _STAND_IN
    shell = replace(block, mixer=arch.ResidualConvolutionConfig(), feed_forward=feed_forward)
    yield Part("shell", shell, width)
    yield Part("mixer", _unmoved(block.mixer), width)
    if block.feed_forward is not None:
        yield Part("feed_forward", block.feed_forward, width)


@lru_cache(maxsize=2**16)
def _unmoved(mixer: arch.Mixer) -> arch.Mixer:
    return mixer.unmoved()


def cross_parts(settings: arch.StageConfig, width: int, size: Size) -> Iterator[Use]:
    """Yield the cross-layer module after a stage, which no two stages share."""
    if settings.cross_layer is not None:
        yield Use(Part("cross_layer", settings.cross_layer, width), size)


def skeleton_parts(architecture: arch.Architecture, size: Size) -> tuple[Use, Use, Use]:
    """Return stem, body and tail around a feature map of `size`."""
    bare, width = skeleton(architecture), architecture.width
    return (
        Use(Part("stem", bare, width), size),
        Use(Part("body", bare, width), size),
        Use(Part("tail", bare, width), size),
    )


def skeleton(architecture: arch.Architecture) -> arch.Architecture:
    """Return the architecture without its stages: equal for all that share stem, body and tail."""
    return replace(architecture, stages=(_NO_WINDOWS,), stage_sharing=1)


def without_trunk(architecture: arch.Architecture) -> arch.Architecture:
    """Return the skeleton with the padding of the whole: stages that only hold its windows."""
    windows = {
        block.mixer.window_size
        for stage in architecture.stages
        for block in stage.blocks
        if block.mixer.window_size is not None
    }
    if not windows:
        return skeleton(architecture)
    blocks = tuple(
        arch.BlockConfig(
            mixer=arch.CascadeAttentionConfig(num_heads=1, key_dim=1, window_size=window)
        )
        for window in sorted(windows)
    )
    return replace(skeleton(architecture), stages=(arch.StageConfig(blocks=blocks),))


def feature_size(scale: int, patch: int, multiple: int, size: Size) -> Size:
    """Return the trunk's padded feature size for an output of `size` pixels.

    Args:
        scale: of the network.
        patch: side of a stem patch.
        multiple: what the sides of the feature map divide by.
        size: of the output.
    """
    step = patch * multiple
    sides = (
        math.ceil(math.ceil(side / scale) / step) * multiple for side in (size.height, size.width)
    )
    return Size(*sides)


@lru_cache(maxsize=2**16)
def _plain(settings: Settings) -> str:
    return json.dumps(_PLAIN.dump_python(settings, mode="json"), sort_keys=True)


def build_part(part: Part) -> nn.Module:
    """Return the part's module, on torch's current default device."""
    module = BUILDERS[part.kind](part.settings, part.width)
    return nn.Identity() if module is None else module


def _emptied(block: network.Block) -> network.Block:
    """Return the block without its mixer and feed-forward."""
    block.mixer = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]  no mixer at all
    if block.feed_forward is not None:
        block.feed_forward = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]  likewise
    return block


def part_inputs(part: Part, size: Size, batch: int = 1) -> tuple[Any, ...]:
    """Return arguments for one call of the part, channels-last and of undefined content."""
    features = _map(batch, part.width, size)
    if part.kind == "cross_layer" and isinstance(part.settings, arch.CrossLayerConfig):
        references = [_map(batch, part.width, size) for _ in range(part.settings.references)]
        return features, references
    if part.kind == "body":
        return features, _map(batch, part.width, size)
    if isinstance(part.settings, arch.Architecture):
        patch = part.settings.stem.patch_size
        image = _map(
            batch, part.settings.in_channels, Size(size.height * patch, size.width * patch)
        )
        return (image,) if part.kind == "stem" else (features, image)
    return (features,)


def _map(batch: int, channels: int, size: Size) -> Tensor:
    shape = (batch, channels, size.height, size.width)
    return torch.empty(shape, memory_format=torch.channels_last)


@dataclass(frozen=True)
class Step:
    """One thing that the trunk does; step n makes map n + 1, and map 0 is the trunk's input.

    Attributes:
        part: what runs; None for the sum of two maps.
        inputs: numbers of the maps that it reads.
        held: numbers of the maps that are held for later while it runs.
        weights: equal for steps that use the same weights.
    """

    part: Part | None
    inputs: tuple[int, ...]
    held: tuple[int, ...]
    weights: tuple[object, ...] = ()


class _Flow:
    """Steps in the making."""

    def __init__(self, width: int) -> None:
        self.steps: list[Step] = []
        self.width = width
        self.held: list[int] = []

    def add(self, left: int, right: int) -> int:
        self.steps.append(Step(None, (left, right), tuple(self.held)))
        return len(self.steps)

    def run(self, part: Part, inputs: tuple[int, ...], *weights: object) -> int:
        self.steps.append(Step(part, inputs, tuple(self.held), weights))
        return len(self.steps)


def trunk_steps(architecture: arch.Architecture) -> tuple[Step, ...]:
    """Return the stages and their cross-layer slots, as `lightir_core.network` runs them."""
    flow = _Flow(architecture.width)
    referenced = any(one.cross_layer is not None for one in architecture.stages)
    x, outputs = 0, [0]
    for number, settings in enumerate(architecture.stages):
        flow.held = [*(outputs if referenced else ()), x]
        x = _run_stage(flow, settings, x, number // architecture.stage_sharing)
        outputs.append(x)
        flow.held = outputs
        if settings.cross_layer is not None:
            part = Part("cross_layer", settings.cross_layer, flow.width)
            references = outputs[-1 - settings.cross_layer.references : -1]
            x = flow.add(x, flow.run(part, (x, *references), "slot", number))
    return tuple(flow.steps)


def _run_stage(flow: _Flow, settings: arch.StageConfig, entry: int, owner: int) -> int:
    """Add the steps of one stage as the network runs it; `owner` numbers its weights."""
    x, held = entry, flow.held
    for number in range(settings.recursions):
        flow.held = [*held, x]
        for index, block in enumerate(settings.blocks):
            copy = 0 if settings.tied else number
            x = flow.run(Part("block", block, flow.width), (x,), owner, copy, index)
        last = number == settings.recursions - 1
        if settings.anchor == "every" or (settings.anchor == "last" and last):
            x = flow.add(x, entry)
    flow.held = held
    if settings.closing != "none":
        closed = flow.run(Part("closing", settings.closing, flow.width), (x,), owner, "closing")
        x = flow.add(x, closed) if settings.skip == "output" else closed
    return flow.add(x, entry) if settings.skip == "input" else x
