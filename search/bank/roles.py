"""What each tensor of a network is in the bank: its name there and where its entries lie.

What two networks share:

    width               the first channels of the trunk
    stages, blocks      the same stage and block; stages that share weights, the first of theirs
    recursion           tied passes and the first untied one; later untied passes are apart
    heads               whole, from the first; of each head the first channels of keys and values
    window              everything; of a position table the offsets that both have
    projections         a grouped one is the diagonal blocks of the dense one
    feed-forward, key widths, position MLPs    their first channels
    cross-layer keys    those at the same angles of their ring; references from the newest back
    kernels             their middle

Apart by nature, though at the same place: mixers and feed-forwards of different kinds; blocks whose
norms stand before their branches, behind them and nowhere, as what a branch reads is of another
size (shared, they spoilt each other: see results/published/bank.md); a projection with the identity
added (GRL) and one without, which must carry the identity itself; closing convolutions that are
dense and depth-wise, or that differ in what is added to them; patch embeddings of different sides;
tails that shuffle otherwise.
Cross-layer modules that a network does without are just not taken.

A block that is new here is shared by its settings' `kind` and the names of its tensors, channels
in order; a line in `INSIDE` says where heads and the like lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from lightir_core.architecture import (
    Architecture,
    CascadeAttentionConfig,
    CrossLayerConfig,
    FeedForward,
    Mixer,
    StageConfig,
    WindowAttentionConfig,
    inner_dims,
)
from lightir_core.network import Network
from search.bank.axes import (
    Axis,
    centred,
    heads,
    newest_first,
    offsets,
    plain,
    product,
    ring,
    stacked,
)

Axes = Mapping[str, tuple[Axis, ...]]
"""Tensor, by its name in a module -> its first axes; what is missing is in order."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where one tensor of a network lies in the bank.

    Attributes:
        key: the bank's name of it.
        index: for each axis of the bank's tensor int64 coordinates; together they broadcast to the
            shape of the network's tensor.
    """

    key: str
    index: tuple[Tensor, ...]

    @cached_property
    def extents(self) -> tuple[int, ...]:
        """The least shape that the bank's tensor must have."""
        return tuple(int(coordinate.max()) + 1 for coordinate in self.index)


def places(network: Network) -> dict[str, Place]:
    """The place of everything that the network's state dict holds."""
    return {
        name: _place(network.architecture, name, tuple(tensor.shape))
        for name, tensor in network.state_dict().items()
    }


def _place(architecture: Architecture, name: str, shape: tuple[int, ...]) -> Place:
    part, rest = name.split(".", 1)
    key, inner, axes = PARTS[part](architecture, rest)
    return Place(f"{key}.{inner}", _index(shape, axes.get(inner, ()), name))


Found = tuple[str, str, Axes]
"""The bank's name of a module, the name of the tensor in it, and the module's axes."""


def _stem(architecture: Architecture, rest: str) -> Found:
    return f"stem.patch{architecture.stem.patch_size}", rest, {}


def _body(_: Architecture, rest: str) -> Found:
    return "body", rest, {}


def _tail(architecture: Architecture, rest: str) -> Found:
    tail, scale = architecture.tail, architecture.scale
    axes: dict[str, tuple[Axis, ...]] = {}
    if tail.upsampler == "staged":
        index, left = 0, scale
        while left > 1:
            factor = 2 if left % 2 == 0 else 3
            # the shuffle makes one channel of factor² neighbours
            shuffled = (product(plain(architecture.width), plain(factor**2)),)
            axes |= {f"upsampler.{index}.{part}": shuffled for part in ("weight", "bias")}
            index, left = index + 2, left // factor
    return f"tail.{tail.upsampler}.x{scale}", rest, axes


def _stages(architecture: Architecture, rest: str) -> Found:
    module, kind, inner = rest.split(".", 2)
    number = int(module) * architecture.stage_sharing
    stage = architecture.stages[number]
    if kind == "closing":
        return f"stages.{number}.closing.{stage.closing}.{stage.skip}", inner, {}
    block, inner = inner.split(".", 1)
    return _block(stage, f"stages.{number}", int(block), inner, architecture.width)


def _block(stage: StageConfig, prefix: str, index: int, inner: str, width: int) -> Found:
    pass_, number = divmod(index, len(stage.blocks))
    block = stage.blocks[number]
    prefix = f"{prefix}.blocks.{number}.{block.norm}" + (f".pass{pass_}" if pass_ else "")
    branch, inner = inner.split(".", 1)
    settings = block.mixer if branch == "mixer" else block.feed_forward
    if branch in ("norm1", "norm2"):
        return f"{prefix}.{branch}", inner, {}
    assert settings is not None
    return f"{prefix}.{settings.kind}", inner, _inside(settings, width)


@lru_cache(maxsize=1024)
def _inside(settings: Mixer | FeedForward, width: int) -> Axes:
    return INSIDE[type(settings)](settings, width) if type(settings) in INSIDE else {}


def _window(mixer: WindowAttentionConfig, width: int) -> Axes:
    key_dim, value_dim = inner_dims(mixer, width)
    number, trunk = mixer.num_heads, plain(width)
    keys, values = heads(number, key_dim), heads(number, value_dim)
    projection, output = mixer.projection, mixer.output
    axes: dict[str, tuple[Axis, ...]] = {
        "depthwise.weight": (values,),
        "depthwise.bias": (values,),
        "position.table": (offsets(mixer.window_size), plain(number)),
    }
    # with the identity added, a channel belongs to that of the trunk, not to a head
    for name, rows in (("q", keys), ("k", keys), ("v", values)):
        if projection.residual:
            axes |= {f"{name}.map.weight": (trunk, trunk), f"{name}.map.bias": (trunk,)}
        else:
            axes |= {f"{name}.weight": (rows, trunk), f"{name}.bias": (rows,)}
    axes["output.map.weight" if output.residual else "output.weight"] = (
        trunk,
        trunk if output.residual else values,
    )
    return axes


def _cascade(mixer: CascadeAttentionConfig, width: int) -> Axes:
    dim = width // mixer.num_heads
    maps = (stacked(plain(mixer.key_dim), plain(mixer.key_dim), plain(dim)),)
    axes: dict[str, tuple[Axis, ...]] = {
        "output.weight": (plain(width), heads(mixer.num_heads, dim)),
        "position.table": (offsets(mixer.window_size), plain(mixer.num_heads)),
    }
    norm = ("weight", "bias", "running_mean", "running_var")
    for head in range(mixer.num_heads):
        axes[f"heads.{head}.qkv.weight"] = maps
        axes |= {f"heads.{head}.norm.{part}": maps for part in norm}
    return axes


INSIDE: dict[type, Callable[[Any, int], Axes]] = {
    WindowAttentionConfig: _window,
    CascadeAttentionConfig: _cascade,
}
"""Settings of a mixer or a feed-forward -> axes that are not just channels in order."""


def _cross_layers(architecture: Architecture, rest: str) -> Found:
    number, inner = rest.split(".", 1)
    cross = architecture.stages[int(number)].cross_layer
    assert cross is not None
    return f"cross_layers.{number}", inner, _cross(cross)


@lru_cache(maxsize=256)
def _cross(cross: CrossLayerConfig) -> Axes:
    keys = product(newest_first(cross.references), ring(cross.keys))
    readers = (("offset", product(keys, plain(2))), ("logit", keys), ("selection", keys))
    return {f"{name}.{part}": (axis,) for name, axis in readers for part in ("weight", "bias")}


PARTS: dict[str, Callable[[Architecture, str], Found]] = {
    "stem": _stem,
    "stages": _stages,
    "cross_layers": _cross_layers,
    "body": _body,
    "tail": _tail,
}
"""Part of a network -> which module a tensor belongs to."""


def _index(shape: tuple[int, ...], axes: tuple[Axis, ...], name: str) -> tuple[Tensor, ...]:
    """Coordinates that broadcast to `shape`."""
    if len(axes) == 2 and len(shape) == 3:
        return _diagonal_blocks(shape, *axes)
    missing = [
        centred(size) if axis >= 2 and len(shape) == 4 and size % 2 else plain(size)
        for axis, size in enumerate(shape)
        if axis >= len(axes)
    ]
    index: list[Tensor] = []
    for axis, coordinates in enumerate((*axes, *missing)):
        assert len(coordinates) == shape[axis], f"{name}: {len(coordinates)} != {shape[axis]}"
        index += [_along(column, axis, len(shape)) for column in coordinates.unbind(1)]
    return tuple(index)


def _diagonal_blocks(shape: tuple[int, ...], rows: Axis, columns: Axis) -> tuple[Tensor, ...]:
    """The weight (groups, outputs / groups, inputs / groups) of a grouped projection."""
    groups = shape[0]
    outputs = [column.view(groups, -1, 1) for column in rows.unbind(1)]
    inputs = [column.view(groups, 1, -1) for column in columns.unbind(1)]
    index = (*outputs, *inputs)
    assert torch.broadcast_shapes(*(part.shape for part in index)) == shape
    return index


def _along(column: Tensor, axis: int, ndim: int) -> Tensor:
    return column.view([-1 if other == axis else 1 for other in range(ndim)])
