"""Where each index of a tensor's axis lies in the bank: one row of coordinates an index.

A bank tensor has an axis for each coordinate, and every network takes from the front of it: first
heads, first channels of each head, offsets nearest to zero, newest references. So an axis of a
network's tensor is a matrix (indices, coordinates) of whole numbers, and a larger network holds
all coordinates that a smaller one has.
"""

from __future__ import annotations

import torch
from torch import Tensor

Axis = Tensor
"""(indices, coordinates), int64."""


def plain(size: int) -> Axis:
    """Channels in order: the first ones are shared."""
    return torch.arange(size)[:, None]


def product(*axes: Axis) -> Axis:
    """An axis that runs over several, the last one fastest."""
    sizes = [torch.arange(len(axis)) for axis in axes]
    rows = torch.cartesian_prod(*sizes) if len(sizes) > 1 else sizes[0][:, None]
    return torch.cat([axis[row] for axis, row in zip(axes, rows.unbind(1), strict=True)], dim=1)


def stacked(*axes: Axis) -> Axis:
    """Axes one after another, told apart by their number, which becomes the first coordinate."""
    parts = [
        torch.cat((torch.full((len(axis), 1), number), axis), dim=1)
        for number, axis in enumerate(axes)
    ]
    return torch.cat(parts)


def heads(number: int, dim: int) -> Axis:
    """Heads of `dim` channels: heads are shared whole, from the first, and of each its first."""
    return product(plain(number), plain(dim))


def centred(size: int) -> Axis:
    """Distances from the middle of an odd size, 0, 1, −1, 2, −2, … in the bank."""
    offset = torch.arange(size) - size // 2
    return (2 * offset.abs() - (offset > 0).long())[:, None]


def offsets(window: tuple[int, int]) -> Axis:
    """The rows of a table of relative positions, by distance: any two windows share the near."""
    return product(*(centred(2 * side - 1) for side in window))


def newest_first(number: int) -> Axis:
    """References, which stand oldest first, counted from the newest."""
    return torch.arange(number).flip(0)[:, None]


def ring(number: int) -> Axis:
    """Keys that start evenly on a ring: the half of them that half as many keys have comes first.

    The order is that of van der Corput's sequence, the bits of a number read backwards.
    """
    bits = max(1, (number - 1).bit_length())
    backwards = [int(f"{index:0{bits}b}"[::-1], 2) for index in range(2**bits)]
    order = torch.tensor([index for index in backwards if index < number])
    return order.argsort()[:, None]
