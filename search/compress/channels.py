"""Where the channels of each unit lie in the tensors of a network, and how they are cut out.

Each module says beside its code what the axes of its tensors are (`lightir_core.blocks.axes`); here
they are put together over a network. A grouped projection has one weight (groups, outputs / groups,
inputs / groups): its outputs and inputs run over two axes, of which every group keeps equally many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from lightir_core.architecture import Architecture
from lightir_core.blocks.axes import Axes, Grouped, within
from lightir_core.blocks.cross_layer import CrossLayerAttention
from lightir_core.network import Body, Stem, Tail, closing_axes
from search.compress.units import Unit, block_channels, copies, units

AxisNumber = int | Literal["grouped outputs", "grouped inputs"]


@dataclass(frozen=True, eq=False)
class Slice:
    """One axis of one tensor.

    Attributes:
        name: of the tensor, as in a state dict.
        axis: its number, or how it runs over a grouped weight.
        owner: int64, for each index of the axis the channel it belongs to, or −1 for none.
    """

    name: str
    axis: AxisNumber
    owner: Tensor


def slices(architecture: Architecture, unit: Unit) -> tuple[Slice, ...]:
    """Return every axis of every tensor that the channels of `unit` lie on."""
    return _slices(architecture)[unit]


@lru_cache(maxsize=16)
def _slices(architecture: Architecture) -> dict[Unit, tuple[Slice, ...]]:
    lying: dict[Unit, list[Slice]] = {unit: [] for unit in units(architecture)}
    for axes, stage, block, first in _modules(architecture):
        for name, axis, kind, owner in _axes(axes):
            unit = Unit("width") if kind == "width" else Unit(kind, stage, block)
            if unit in lying:  # what lies in a group with other channels is no unit
                moved = torch.where(owner < 0, owner, owner + first.get(unit, 0))
                lying[unit].append(Slice(name, axis, moved))
    return {unit: tuple(there) for unit, there in lying.items()}


def _modules(
    architecture: Architecture,
) -> Iterator[tuple[Axes, int, int, Mapping[Unit, int]]]:
    """Yield the axes of each module, its stage and block, and where its channels are counted from.

    Passes that are not tied have channels of their own, one pass after another.
    """
    width, none = architecture.width, dict[Unit, int]()
    yield within("stem", Stem.axes(architecture)), -1, -1, none
    extents = units(architecture)
    for number, stage in enumerate(architecture.stages):
        prefix = f"stages.{number // architecture.stage_sharing}"
        if number % architecture.stage_sharing == 0:
            for index, block in enumerate(stage.blocks):
                channels = block_channels(block, width)
                here = [Unit(kind, number, index) for kind in channels.extents]
                each = {u: extents[u].lanes * extents[u].size for u in here if u in extents}
                for copy in range(copies(stage)):
                    first = {unit: copy * count // copies(stage) for unit, count in each.items()}
                    name = f"{prefix}.blocks.{copy * len(stage.blocks) + index}"
                    yield within(name, channels.axes), number, index, first
            yield within(prefix, closing_axes(stage.closing, width)), number, -1, none
        if stage.cross_layer is not None:
            axes = CrossLayerAttention.channels(stage.cross_layer, width).axes
            yield within(f"cross_layers.{number}", axes), number, -1, none
    yield within("body", Body.axes(architecture)), -1, -1, none
    yield within("tail", Tail.axes(architecture)), -1, -1, none


def _axes(axes: Axes) -> Iterator[tuple[str, AxisNumber, str, Tensor]]:
    """Yield tensor, axis, kind of channel and owners of every axis that holds channels."""
    names: tuple[AxisNumber, ...] = ("grouped outputs", "grouped inputs")
    for tensor, layout in axes.items():
        numbers = names if isinstance(layout, Grouped) else range(len(layout))
        for number, axis in zip(numbers, layout, strict=True):
            for kind, owner in axis.items():
                yield tensor, number, kind, owner


def rows(tensor: Tensor, axis: AxisNumber) -> Tensor:
    """Return the tensor with `axis` in front and the rest flat: (indices, others)."""
    if axis == "grouped outputs":
        return tensor.flatten(0, 1)
    if axis == "grouped inputs":
        return tensor.transpose(1, 2).flatten(0, 1)
    return tensor.movedim(axis, 0).flatten(1) if tensor.ndim > 1 else tensor.unsqueeze(1)


def keep(tensor: Tensor, axis: AxisNumber, kept: Tensor) -> Tensor:
    """Return the tensor without the indices of `axis` that are False in `kept`.

    Args:
        tensor: of any shape; a grouped weight for a grouped axis.
        axis: which one.
        kept: (indices,) of bool; equally many True in each group of a grouped axis.
    """
    if axis == "grouped outputs":
        return tensor.flatten(0, 1)[kept].unflatten(0, (len(tensor), -1))
    if axis == "grouped inputs":
        inputs = tensor.transpose(1, 2).flatten(0, 1)[kept]
        return inputs.unflatten(0, (len(tensor), -1)).transpose(1, 2).contiguous()
    return tensor.index_select(axis, kept.nonzero().flatten().to(tensor.device))


def cut(
    tensors: Mapping[str, Tensor], cuts: Sequence[tuple[Sequence[Slice], Tensor]]
) -> dict[str, Tensor]:
    """Return the tensors without the channels that are False in each unit's mask.

    Args:
        tensors: a state dict.
        cuts: for each unit its slices and a bool for each of its channels.
    """
    masks: dict[tuple[str, AxisNumber], Tensor] = {}
    for there, kept in cuts:
        for one in there:
            mask = kept[one.owner.clamp_min(0)] | (one.owner < 0)
            key = (one.name, one.axis)
            masks[key] = masks[key] & mask if key in masks else mask
    left = dict(tensors)
    # outputs before inputs: a grouped mask counts the indices of the other axis as they were
    for (name, axis), mask in masks.items():
        left[name] = keep(left[name], axis, mask)
    return left


def gather(values: Mapping[str, Tensor], there: Sequence[Slice], channels: int) -> Tensor:
    """Return the sum of `values` over everything that belongs to each channel.

    Args:
        values: a number for each entry of each tensor; tensors that are missing count as zero.
        there: slices of one unit.
        channels: how many the unit has.

    Returns:
        (channels,) of float64.
    """
    total = torch.zeros(channels, dtype=torch.float64)
    for one in there:
        if one.name in values:
            sums = rows(values[one.name], one.axis).double().sum(1).cpu()
            owned = one.owner >= 0
            total.index_add_(0, one.owner[owned], sums[owned])
    return total
