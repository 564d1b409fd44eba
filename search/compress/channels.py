"""The tensors that each structural unit runs through: one function a kind of unit.

Of feed-forwards and residual convolutions torch-pruning's dependency graph finds them. Where it is
known to fail silently (position biases that join the queries, grouped weights, chunks, gates; see
`tests/search/compress/test_channels.py` for where the two agree) they are written down here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import torch
import torch_pruning as tp
from torch import Tensor, nn

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    ExponentialPositionConfig,
    FeedForward,
    Mixer,
    ResidualConvolutionConfig,
    StageConfig,
    TablePositionConfig,
    WindowAttentionConfig,
    inner_dims,
)
from lightir_core.blocks import FEED_FORWARDS, MIXERS
from search.compress.slices import Axis, Slice
from search.compress.units import Unit, units

PROBE_WIDTH = 11
PROBE_HIDDEN = 7
"""Sizes of a stand-in that no kernel and no group has: they tell the axes of its tensors apart."""


def slices(architecture: Architecture, unit: Unit) -> tuple[Slice, ...]:
    """Every axis of every tensor that the channels of `unit` lie on."""
    if unit.kind == "width":
        return tuple(_width(architecture))
    if unit.kind == "cross_keys":
        return tuple(_cross_keys(architecture, unit.stage))
    stage = architecture.stages[unit.stage]
    once = tuple(INSIDE[unit.kind](stage.blocks[unit.block], architecture.width))
    lanes = units(architecture)[unit]
    copies = 1 if stage.tied else stage.recursions
    channels = lanes.lanes * lanes.size // copies
    return tuple(
        one.within(prefix, copy * channels)
        for copy, prefix in enumerate(_prefixes(architecture, unit.stage, unit.block))
        for one in once
    )


def _prefixes(architecture: Architecture, stage: int, block: int) -> Iterator[str]:
    """Where the copies of a block lie, one for each untied pass."""
    settings = architecture.stages[stage]
    module = stage // architecture.stage_sharing
    for copy in range(1 if settings.tied else settings.recursions):
        yield f"stages.{module}.blocks.{copy * len(settings.blocks) + block}"


# Inside a block; every function takes the block and the network's width.


def _keys(block: BlockConfig, width: int) -> Iterator[Slice]:
    mixer = block.mixer
    if isinstance(mixer, CascadeAttentionConfig):
        yield from _cascade_keys(mixer, width)
        return
    assert isinstance(mixer, WindowAttentionConfig)
    owner = torch.arange(mixer.num_heads * inner_dims(mixer, width)[0])
    for name in ("mixer.q", "mixer.k"):
        yield from _outputs(name, mixer.projection.groups, owner, bias=mixer.projection.bias)


def _values(block: BlockConfig, width: int) -> Iterator[Slice]:
    mixer = block.mixer
    assert isinstance(mixer, WindowAttentionConfig)
    owner = torch.arange(mixer.num_heads * inner_dims(mixer, width)[1])
    yield from _outputs("mixer.v", mixer.projection.groups, owner, bias=mixer.projection.bias)
    yield from _read_values(mixer, owner)


def _read_values(mixer: WindowAttentionConfig, owner: Tensor) -> Iterator[Slice]:
    """What reads the values, `owner` being the channel of each."""
    yield _inputs("mixer.output", mixer.output.groups, owner)
    if mixer.depthwise_value:
        yield from _vectors(owner, "mixer.depthwise.weight", "mixer.depthwise.bias")


def _inner(block: BlockConfig, width: int) -> Iterator[Slice]:
    yield from _keys(block, width)
    yield from _values(block, width)


def _heads(block: BlockConfig, width: int) -> Iterator[Slice]:
    mixer = block.mixer
    assert isinstance(mixer, WindowAttentionConfig)
    heads = torch.arange(mixer.num_heads)
    keys, values = (heads.repeat_interleave(dim) for dim in inner_dims(mixer, width))
    projection = mixer.projection
    for name, owner in (("mixer.q", keys), ("mixer.k", keys), ("mixer.v", values)):
        yield from _outputs(name, projection.groups, owner, bias=projection.bias)
    yield from _read_values(mixer, values)
    if mixer.logits == "cosine":
        yield Slice("mixer.log_tau", 0, heads)
    if isinstance(mixer.position, TablePositionConfig):
        yield Slice("mixer.position.table", 1, heads)
    elif isinstance(mixer.position, ExponentialPositionConfig):
        yield Slice("mixer.position.outward.weight", 0, heads)


def _position(block: BlockConfig, _: int) -> Iterator[Slice]:
    mixer = block.mixer
    assert isinstance(mixer, WindowAttentionConfig)
    assert isinstance(mixer.position, ExponentialPositionConfig)
    owner = torch.arange(mixer.position.hidden)
    name = "mixer.position"
    yield from _vectors(owner, f"{name}.inward.weight", f"{name}.inward.bias")
    yield Slice(f"{name}.outward.weight", 1, owner)


def _cascade_keys(mixer: CascadeAttentionConfig, width: int) -> Iterator[Slice]:
    values = torch.full((width // mixer.num_heads,), -1)
    for head in range(mixer.num_heads):
        own = torch.arange(mixer.key_dim) + head * mixer.key_dim
        name = f"mixer.heads.{head}"
        both = torch.cat((own, own, values))
        yield Slice(f"{name}.qkv.weight", 0, both)
        yield from _batch_norm(f"{name}.norm", both)
        yield Slice(f"{name}.filter.weight", 0, own)
        yield from _batch_norm(f"{name}.filter_norm", own)


def _hidden(block: BlockConfig, _: int) -> Iterator[Slice]:
    feed_forward = block.feed_forward
    assert feed_forward is not None
    for name, axis in _dependent(feed_forward):
        yield Slice(f"feed_forward.{name}", axis, torch.arange(feed_forward.hidden_dim))


def _convolution(block: BlockConfig, width: int) -> Iterator[Slice]:
    mixer = block.mixer
    assert isinstance(mixer, ResidualConvolutionConfig)
    for name, axis in _dependent(replace(mixer, hidden_dim=PROBE_HIDDEN)):
        yield Slice(f"mixer.{name}", axis, torch.arange(mixer.hidden_dim or width))


INSIDE: dict[str, Callable[[BlockConfig, int], Iterator[Slice]]] = {
    "heads": _heads,
    "keys": _keys,
    "values": _values,
    "inner": _inner,
    "hidden": _hidden,
    "convolution": _convolution,
    "position": _position,
}
"""Kind of unit inside a block -> its slices, named from the block."""


@lru_cache(maxsize=64)
def _dependent(settings: FeedForward | ResidualConvolutionConfig) -> tuple[tuple[str, int], ...]:
    """(tensor, axis) of everything that hidden channels lie on, from torch-pruning's graph."""
    module = _stand_in(settings)
    names = {layer: name for name, layer in module.named_modules()}
    root = next(layer for layer in module.modules() if _size_out(layer) == PROBE_HIDDEN)
    example = torch.zeros(1, PROBE_WIDTH, 8, 8)
    graph = tp.DependencyGraph().build_dependency(module, example_inputs=example)
    cut = (
        tp.prune_conv_out_channels if isinstance(root, nn.Conv2d) else tp.prune_linear_out_channels
    )
    group = graph.get_pruning_group(root, cut, idxs=list(range(PROBE_HIDDEN)))
    layers = dict.fromkeys(names[dep.layer] for dep, _ in group if dep.layer in names)
    # of a depth-wise kernel (hidden, 1, h, w) the second axis is no channel
    return tuple(
        (f"{layer}.{name}", axis)
        for layer in layers
        for name, tensor in module.get_submodule(layer).named_parameters()
        for axis, size in enumerate(tensor.shape[:2])
        if size == PROBE_HIDDEN
    )


def _size_out(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return layer.out_features
    return layer.out_channels if isinstance(layer, nn.Conv2d) else None


def _stand_in(settings: FeedForward | Mixer) -> nn.Module:
    """A small module of the same kind."""
    small = replace(settings, hidden_dim=PROBE_HIDDEN)
    table = FEED_FORWARDS if type(small) in FEED_FORWARDS else MIXERS
    with torch.random.fork_rng(devices=[]):
        return table[type(small)](small, PROBE_WIDTH)


# The width of the trunk.


def _width(architecture: Architecture) -> Iterator[Slice]:
    all_ = torch.arange(architecture.width)
    yield from _vectors(all_, "stem.conv.weight", "stem.conv.bias")
    if architecture.stem.norm:
        yield from _layer_norm("stem.norm", all_)
    for number, stage in enumerate(architecture.stages):
        if number % architecture.stage_sharing == 0:
            yield from _stage_width(architecture, number, stage)
        if stage.cross_layer is not None:
            yield from _cross_width(architecture, number)
    if architecture.body.norm:
        yield from _layer_norm("body.norm", all_)
    if architecture.body.closing != "none":
        yield from _square("body.closing", all_)
    yield from _tail_width(architecture)


def _stage_width(architecture: Architecture, number: int, stage: StageConfig) -> Iterator[Slice]:
    width = architecture.width
    for index, block in enumerate(stage.blocks):
        once = tuple(_block_width(block, width))
        for prefix in _prefixes(architecture, number, index):
            yield from (one.within(prefix) for one in once)
    name = f"stages.{number // architecture.stage_sharing}.closing"
    if stage.closing == "convolution":
        yield from _square(name, torch.arange(width))
    elif stage.closing == "depthwise":
        yield from _vectors(torch.arange(width), f"{name}.weight", f"{name}.bias")


def _block_width(block: BlockConfig, width: int) -> Iterator[Slice]:
    all_ = torch.arange(width)
    if block.norm != "none":
        yield from _layer_norm("norm1", all_)
    if isinstance(block.mixer, WindowAttentionConfig):
        yield from _attention_width(block.mixer, all_)
    elif isinstance(block.mixer, CascadeAttentionConfig):
        yield from _cascade_width(block.mixer, all_)
    else:
        yield from _probed("mixer", block.mixer, all_)
    if block.feed_forward is not None:
        if block.norm != "none":
            yield from _layer_norm("norm2", all_)
        yield from _probed("feed_forward", block.feed_forward, all_)


def _attention_width(mixer: WindowAttentionConfig, all_: Tensor) -> Iterator[Slice]:
    for name in ("mixer.q", "mixer.k", "mixer.v"):
        yield _inputs(name, mixer.projection.groups, all_)
    yield from _outputs("mixer.output", mixer.output.groups, all_, bias=mixer.output.bias)


def _cascade_width(mixer: CascadeAttentionConfig, all_: Tensor) -> Iterator[Slice]:
    """A head reads its slice of the trunk; its values are added to the slice of the next head."""
    groups = all_.chunk(mixer.num_heads)
    values: list[Tensor] = []
    for head, own in enumerate(groups):
        next_ = groups[min(head + 1, len(groups) - 1)] if mixer.cascade else own
        values.append(next_)
        both = torch.cat((torch.full((2 * mixer.key_dim,), -1), next_))
        yield Slice(f"mixer.heads.{head}.qkv.weight", 0, both)
        yield Slice(f"mixer.heads.{head}.qkv.weight", 1, own)
        yield from _batch_norm(f"mixer.heads.{head}.norm", both)
    yield Slice("mixer.output.weight", 0, all_)
    yield Slice("mixer.output.weight", 1, torch.cat(values))
    yield from _batch_norm("mixer.output_norm", all_)


def _probed(
    prefix: str, settings: FeedForward | ResidualConvolutionConfig, all_: Tensor
) -> list[Slice]:
    """Every axis of a stand-in that is as long as the trunk is wide."""
    return [
        Slice(f"{prefix}.{name}", axis, all_)
        for name, tensor in _stand_in(settings).named_parameters()
        for axis, size in enumerate(tensor.shape[:2])
        if size == PROBE_WIDTH
    ]


def _cross_width(architecture: Architecture, number: int) -> Iterator[Slice]:
    all_, name = torch.arange(architecture.width), f"cross_layers.{number}"
    cross = architecture.stages[number].cross_layer
    assert cross is not None
    yield from _square(f"{name}.value", all_)
    for reader in ("offset", "logit", "selection"):
        if reader != "selection" or cross.selection != "none":
            yield Slice(f"{name}.{reader}.weight", 1, all_)
    if cross.depthwise_tail:
        yield Slice(f"{name}.tail.0.weight", 0, all_)
        yield from _batch_norm(f"{name}.tail.1", all_)


def _cross_keys(architecture: Architecture, number: int) -> Iterator[Slice]:
    cross = architecture.stages[number].cross_layer
    assert cross is not None
    owner = torch.arange(cross.references * cross.keys)
    readers = [("offset", owner.repeat_interleave(2)), ("logit", owner)]  # an offset has two parts
    if cross.selection != "none":
        readers.append(("selection", owner))
    for name, own in readers:
        prefix = f"cross_layers.{number}.{name}"
        yield from _vectors(own, f"{prefix}.weight", f"{prefix}.bias")


def _tail_width(architecture: Architecture) -> Iterator[Slice]:
    all_ = torch.arange(architecture.width)
    if architecture.tail.upsampler == "staged":
        scale, index = architecture.scale, 0
        while scale > 1:
            factor = 2 if scale % 2 == 0 else 3
            name = f"tail.upsampler.{index}"
            # the shuffle makes one channel of factor² neighbours
            spread = all_.repeat_interleave(factor**2)
            yield from _vectors(spread, f"{name}.weight", f"{name}.bias")
            yield Slice(f"{name}.weight", 1, all_)
            scale, index = scale // factor, index + 2
    yield Slice("tail.last.weight", 1, all_)


# Layers.


def _outputs(name: str, groups: int, owner: Tensor, *, bias: bool) -> Iterator[Slice]:
    axis: Axis = 0 if groups == 1 else "grouped outputs"
    yield Slice(f"{name}.weight", axis, owner)
    if bias:
        yield Slice(f"{name}.bias", 0, owner)


def _inputs(name: str, groups: int, owner: Tensor) -> Slice:
    return Slice(f"{name}.weight", 1 if groups == 1 else "grouped inputs", owner)


def _vectors(owner: Tensor, *names: str) -> Iterator[Slice]:
    yield from (Slice(name, 0, owner) for name in names)


def _layer_norm(name: str, owner: Tensor) -> Iterator[Slice]:
    yield from _vectors(owner, f"{name}.weight", f"{name}.bias")


def _batch_norm(name: str, owner: Tensor) -> Iterator[Slice]:
    parts = ("weight", "bias", "running_mean", "running_var")
    yield from _vectors(owner, *(f"{name}.{part}" for part in parts))


def _square(name: str, owner: Tensor) -> Sequence[Slice]:
    """A dense convolution of the trunk to itself."""
    return (
        Slice(f"{name}.weight", 0, owner),
        Slice(f"{name}.weight", 1, owner),
        Slice(f"{name}.bias", 0, owner),
    )
