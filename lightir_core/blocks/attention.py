"""Attention and the biases of its positions, at one place, so that another kernel can take theirs.

Notation: L = QKᵀ + B + mask, W = softmax(L), Y = W V; B nW h matrices of N x N numbers each.
    dV = Wᵀ dY,  dL = W ⊙ (dW − rowsum(dW ⊙ W)) with dW = dY Vᵀ,  dQ = dL K,  dK = dLᵀ Q,  dB = Σ dL

Explicit products rather than torch's fused attention: a learned bias as `attn_mask` makes it fall
back to the same products and keep all of W, it cannot be exported with a mask, and counters read
it as zero. Instead the gradient is written here. On a CPU large maps are worked off in pieces of
windows whose logits stay in the cache, and W is forgotten and computed again for the gradient: the
same numbers, faster than reading W back from memory, and W is most of what a training step keeps.

Notation: Wh, Ww window sides, N = Wh·Ww tokens, h heads, M hidden width. Offsets are query minus
key, numbered (Δrow + Wh − 1)(2Ww − 1) + (Δcol + Ww − 1).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.blocks.axes import Axes, Axis, along, vectors
from lightir_core.blocks.projection import is_traced
from lightir_core.blocks.windows import ShiftMask


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


PIECE_BYTES = 2**20  # of logits; 0.5 to 4 MiB are equally good, 24 MiB are not
KEPT_BYTES = 4 * 2**20  # of logits; below, keeping them is faster than computing them again


@dataclass(frozen=True)
class Piece:
    """A box of windows that lie side by side in memory.

    Attributes:
        matrices: where its matrices are among all B nW h.
        box: images, rows and columns of windows.
        last: whether it reaches the last row and the last column of its image.
    """

    matrices: slice
    box: tuple[int, int, int]
    last: tuple[bool, bool]

    def __len__(self) -> int:
        """Of its matrices."""
        return self.matrices.stop - self.matrices.start

    def of(self, x: Tensor) -> Tensor:
        """Return the piece's (matrices, N, d) of (B, nh, nw, h, N, d)."""
        return x.flatten(0, 3)[self.matrices]


class Attention(torch.autograd.Function):
    """`attend` with its gradient, on a CPU."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  torch's context takes any attribute
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        mask: ShiftMask | None,
        keep: bool,
    ) -> Tensor:
        """Keep the softmax, or forget it."""
        pieces = list(_pieces(q))
        kept = _room(q, sum(map(len, pieces))) if keep else None
        ctx.save_for_backward(q, k, v, bias, kept)
        ctx.mask, ctx.pieces = mask, pieces
        return _forward(q, k, v, bias, mask, pieces, kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Gradients of q, k, v and bias; those of q, k and v lie in memory as (.., N, d)."""
        q, k, v, bias, kept = ctx.saved_tensors
        outputs = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v)]
        d_bias = None if bias is None else torch.zeros_like(bias)
        rooms = [_room(q, max(map(len, ctx.pieces))) for _ in range(2 if kept is None else 1)]
        for piece in ctx.pieces:
            q_p, k_p, v_p, dy = (piece.of(x) for x in (q, k, v, *grads))
            dq, dk, dv = (piece.of(x) for x in outputs)
            if kept is None:
                weights = _weights(q_p, k_p, bias, ctx.mask, piece, rooms[1][: len(piece)])
            else:
                weights = kept[piece.matrices]
            torch.bmm(weights.to(v.dtype).mT, dy, out=dv)
            dl = _product(dy, v_p.mT, rooms[0][: len(piece)])
            torch.ops.aten._softmax_backward_data.out(dl, weights, -1, dl.dtype, grad_input=dl)
            if d_bias is not None:
                by_window = dl.unflatten(0, (-1, len(d_bias)))
                d_bias += by_window[0] if len(by_window) == 1 else by_window.sum(0)
            dl = dl.to(q.dtype)
            torch.bmm(dl, k_p, out=dq)
            torch.bmm(dl.mT, q_p, out=dk)
        return *outputs, d_bias, None, None


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    mask: ShiftMask | None = None,
    *,
    kept_bytes: int = KEPT_BYTES,
) -> Tensor:
    """softmax(q kᵀ + bias + mask) v.

    Args:
        q: (B, nh, nw, h, N, key width), already scaled.
        k: as `q`.
        v: (B, nh, nw, h, N, value width).
        bias: (h, N, N).
        mask: the mask of a shifted window grid.
        kept_bytes: a larger softmax is computed again for the gradient, on a CPU.

    Returns:
        (B, nh, nw, h, N, value width).
    """
    device = q.device.type
    if is_traced() or device != "cpu":
        return _attend_plainly(q, k, v, bias, mask)
    if torch.is_autocast_enabled(device):
        q, k, v = (x.to(torch.get_autocast_dtype(device)) for x in (q, k, v))
    if not torch.is_grad_enabled():
        return _forward(q, k, v, bias, mask, list(_pieces(q)), None)
    keep = _logit_bytes(q) * math.prod(q.shape[:3]) <= kept_bytes
    return Attention.apply(q, k, v, bias, mask, keep)  # pyright: ignore[reportReturnType]


def _attend_plainly(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, mask: ShiftMask | None
) -> Tensor:
    """`attend` in operations that accelerators run well and exporters know."""
    logits = q @ k.transpose(-2, -1)
    if bias is not None:
        logits = logits + bias
    if mask is not None:
        logits = mask(logits)
    return logits.softmax(dim=-1).to(v.dtype) @ v


def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    mask: ShiftMask | None,
    pieces: list[Piece],
    kept: Tensor | None,
) -> Tensor:
    """Return the output; the softmax goes to `kept`, if that is given."""
    y = v.new_empty(*q.shape[:-1], v.shape[-1])
    spare = _room(q, max(map(len, pieces))) if kept is None else kept
    for piece in pieces:
        q_p, k_p, v_p, y_p = (piece.of(x) for x in (q, k, v, y))
        room = spare[: len(piece)] if kept is None else kept[piece.matrices]
        weights = _weights(q_p, k_p, bias, mask, piece, room)
        torch.bmm(weights.to(v.dtype), v_p, out=y_p)
    return y


def _weights(
    q: Tensor, k: Tensor, bias: Tensor | None, mask: ShiftMask | None, piece: Piece, room: Tensor
) -> Tensor:
    """Return the softmax of a piece, in `room`."""
    logits = _product(q, k.mT, room)
    by_window = logits.unflatten(0, (*piece.box, -1))
    if bias is not None:
        by_window += bias
    if mask is not None:
        mask(by_window, piece.last)
    return torch.softmax(logits, -1, out=logits)


def _product(left: Tensor, right: Tensor, room: Tensor) -> Tensor:
    """Left @ right in `room`, which is more precise than half precision factors."""
    if room.dtype == left.dtype:
        return torch.bmm(left, right, out=room)
    return room.copy_(torch.bmm(left, right))


def _room(q: Tensor, matrices: int) -> Tensor:
    """Room for logits, (matrices, N, N), at least in single precision."""
    tokens = q.shape[-2]
    dtype = torch.promote_types(q.dtype, torch.float32)
    return q.new_empty(matrices, tokens, tokens, dtype=dtype)


def _logit_bytes(q: Tensor) -> int:
    """Return the bytes of the logits of all heads of one window."""
    heads, tokens = q.shape[3:5]
    return heads * tokens * tokens * 4


def _pieces(q: Tensor) -> Iterator[Piece]:
    """Return all windows in the order in which they lie in memory, a cache full at a time."""
    images, rows, columns, heads = q.shape[:4]
    most = max(1, PIECE_BYTES // _logit_bytes(q))
    step = (
        max(1, min(images, most // (rows * columns))),
        max(1, min(rows, most // columns)),
        min(columns, most),
    )
    starts = (range(0, size, part) for size, part in zip(q.shape[:3], step, strict=True))
    begin = 0
    for image, row, column in itertools.product(*starts):
        left = (images - image, rows - row, columns - column)
        box = (min(left[0], step[0]), min(left[1], step[1]), min(left[2], step[2]))
        end = begin + box[0] * box[1] * box[2] * heads
        yield Piece(slice(begin, end), box, (box[1] == left[1], box[2] == left[2]))
        begin = end
