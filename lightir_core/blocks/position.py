"""Relative position bias: one number per head and offset between query and key.

Notation: Wh, Ww window sides, N = Wh·Ww tokens, h heads, M hidden width. Offsets are query minus
key, numbered (Δrow + Wh − 1)(2Ww − 1) + (Δcol + Ww − 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.blocks.axes import Axes, Axis, along, vectors


def relative_index(window: tuple[int, int]) -> Tensor:
    """Return (N, N) of int64: the number of the offset between query (row) and key (column)."""
    height, width = window
    row = torch.arange(height).repeat_interleave(width)
    column = torch.arange(width).repeat(height)
    delta_row = row[:, None] - row[None, :] + height - 1
    delta_column = column[:, None] - column[None, :] + width - 1
    return delta_row * (2 * width - 1) + delta_column


class TablePosition(nn.Module):
    """A learned table with a row per offset and a column per head (Swin Transformer, Eq. 4)."""

    index: Tensor

    def __init__(self, window: tuple[int, int], num_heads: int) -> None:
        """Build the table for a window (Wh, Ww)."""
        super().__init__()
        offsets = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.table = nn.Parameter(torch.empty(offsets, num_heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.register_buffer("index", relative_index(window), persistent=False)

    @staticmethod
    def axes(heads: Axis) -> Axes:
        """Return the axes of the table: offsets, heads."""
        return {"table": ({}, heads)}

    def forward(self) -> Tensor:
        """Return (h, N, N)."""
        return spread(self.table, self.index)


class ExponentialPosition(nn.Module):
    """ES-RPB, the exponential-space relative position bias (GRFormer, ACM MM 2024, section 3.3).

    e(Δ) = sign(Δ)(1 − exp(−|Δ|)), Δ scaled to [−3.2, 3.2];  b = 16·sigmoid(W₂ relu(W₁ e + b₁)).
    The MLP sees every offset once a forward pass: (2Wh − 1)(2Ww − 1)(2M + Mh) MACs at any size.
    """

    offsets: Tensor
    index: Tensor

    def __init__(self, window: tuple[int, int], num_heads: int, hidden: int) -> None:
        """Build the MLP, `hidden` wide, for a window (Wh, Ww)."""
        super().__init__()
        self.inward = nn.Linear(2, hidden)
        self.outward = nn.Linear(hidden, num_heads, bias=False)
        for linear in (self.inward, self.outward):
            nn.init.trunc_normal_(linear.weight, std=0.02)
        nn.init.zeros_(self.inward.bias)
        self.register_buffer("offsets", exponential_offsets(window), persistent=False)
        self.register_buffer("index", relative_index(window), persistent=False)

    @staticmethod
    def axes(heads: Axis, hidden: int) -> Axes:
        """Return the axes of both layers; hidden channels are of the kind `position`."""
        inner = along(position=hidden)
        return {**vectors("inward", inner), "outward.weight": (heads, inner)}

    def forward(self) -> Tensor:
        """Return (h, N, N)."""
        table = self.outward(F.relu(self.inward(self.offsets)))
        return spread(16 * torch.sigmoid(table), self.index)


def exponential_offsets(window: tuple[int, int]) -> Tensor:
    """((2Wh − 1)(2Ww − 1), 2): exponentially mapped (row, column) offsets, in offset order."""
    axes = [torch.arange(1 - side, side) * (3.2 / (side - 1)) for side in window]
    offsets = torch.cartesian_prod(*axes)
    return torch.sign(offsets) * (1 - torch.exp(-offsets.abs()))


def spread(table: Tensor, index: Tensor) -> Tensor:
    """Return a (offsets, h) table laid out as (h, N, N)."""
    tokens = index.shape[0]
    return table.t().index_select(1, index.flatten()).unflatten(1, (tokens, tokens))
