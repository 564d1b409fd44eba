"""Where the channels of a unit lie in the tensors of a network, and how they are cut out.

A slice says of one axis of one tensor which channel each of its indices belongs to. A grouped
projection has one weight (groups, outputs / groups, inputs / groups): its outputs and inputs run
over two axes, of which every group must keep equally many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Axis = int | Literal["grouped outputs", "grouped inputs"]


@dataclass(frozen=True, eq=False)
class Slice:
    """One axis of one tensor.

    Attributes:
        name: of the tensor, as in a state dict.
        axis: its number, or how it runs over a grouped weight.
        owner: int64, for each index of the axis the channel it belongs to, or −1 for none.
    """

    name: str
    axis: Axis
    owner: Tensor

    def within(self, prefix: str, first: int = 0) -> Slice:
        """The same slice of a module that lies at `prefix`, its channels numbered from `first`."""
        moved = torch.where(self.owner < 0, self.owner, self.owner + first)
        return replace(self, name=f"{prefix}.{self.name}", owner=moved)


def rows(tensor: Tensor, axis: Axis) -> Tensor:
    """The tensor with `axis` in front and the rest flat: (indices, others)."""
    if axis == "grouped outputs":
        return tensor.flatten(0, 1)
    if axis == "grouped inputs":
        return tensor.transpose(1, 2).flatten(0, 1)
    return tensor.movedim(axis, 0).flatten(1) if tensor.ndim > 1 else tensor.unsqueeze(1)


def keep(tensor: Tensor, axis: Axis, kept: Tensor) -> Tensor:
    """The tensor without the indices of `axis` that are False in `kept`.

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
    """The tensors without the channels that are False in each unit's mask.

    Args:
        tensors: a state dict.
        cuts: for each unit its slices and a bool for each of its channels.
    """
    masks: dict[tuple[str, Axis], Tensor] = {}
    for slices, kept in cuts:
        for one in slices:
            mask = kept[one.owner.clamp_min(0)] | (one.owner < 0)
            key = (one.name, one.axis)
            masks[key] = masks[key] & mask if key in masks else mask
    left = dict(tensors)
    # outputs before inputs: a grouped mask counts the indices of the other axis as they were
    for (name, axis), mask in masks.items():
        left[name] = keep(left[name], axis, mask)
    return left


def gather(values: Mapping[str, Tensor], slices: Sequence[Slice], channels: int) -> Tensor:
    """The sum of `values` over everything that belongs to each channel.

    Args:
        values: a number for each entry of each tensor; tensors that are missing count as zero.
        slices: of one unit.
        channels: how many the unit has.

    Returns:
        (channels,) of float64.
    """
    total = torch.zeros(channels, dtype=torch.float64)
    for one in slices:
        if one.name in values:
            sums = rows(values[one.name], one.axis).double().sum(1).cpu()
            owned = one.owner >= 0
            total.index_add_(0, one.owner[owned], sums[owned])
    return total
