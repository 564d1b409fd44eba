"""The one place where queries meet keys, so that another kernel can take its place.

Explicit products rather than fused attention: a learned bias as `attn_mask` makes the fused
kernel fall back to the same products, it cannot be exported with a mask, and counters read
it as zero.

On a CPU the windows are worked off in pieces whose logits stay in the cache: the same numbers, up
to three times faster for windows of 256 tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from lightir_core.blocks.windows import ShiftMask

PIECE_BYTES = 2 * 2**20  # of logits; 1 to 8 MiB are equally good, 24 MiB are not

Box = tuple[int, int, int]


def attend(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, mask: ShiftMask | None = None
) -> Tensor:
    """softmax(q kᵀ + bias + mask) v.

    Args:
        q: (B, nh, nw, ..., N, key width), already scaled.
        k: as `q`.
        v: (B, nh, nw, ..., N, value width).
        bias: broadcast onto (B, nh, nw, ..., N, N).
        mask: the mask of a shifted window grid.

    Returns:
        (B, nh, nw, ..., N, value width).
    """
    pieces = list(_pieces(q))
    if len(pieces) == 1:
        return _attend(q, k, v, bias, mask, (True, True))
    sizes = [images * rows * columns for (images, rows, columns), _ in pieces]
    split = zip(*(x.flatten(0, 2).split(sizes) for x in (q, k, v)), strict=True)
    outputs: list[Tensor] = []
    for parts, (box, last) in zip(split, pieces, strict=True):
        q_part, k_part, v_part = (x.unflatten(0, box) for x in parts)
        outputs.append(_attend(q_part, k_part, v_part, bias, mask, last).flatten(0, 2))
    return torch.cat(outputs).unflatten(0, q.shape[:3])


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    mask: ShiftMask | None,
    last: tuple[bool, bool],
) -> Tensor:
    """`attend` for a piece; `last` says whether it reaches the last row and the last column."""
    logits = q @ k.transpose(-2, -1)
    if bias is not None and bias.dtype == logits.dtype:
        logits += bias
    elif bias is not None:  # autocast: a half precision product and a float32 bias make float32
        logits = logits + bias
    if mask is not None:
        logits = mask(logits, last)
    weights = logits.softmax(dim=-1)
    return weights.to(v.dtype) @ v


def _pieces(q: Tensor) -> Iterator[tuple[Box, tuple[bool, bool]]]:
    """Boxes (images, rows, columns) of windows, in the order in which windows lie in memory.

    With each box, whether it reaches the last row and the last column of its image.
    """
    images, rows, columns = q.shape[:3]
    traced = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
    if traced or q.device.type != "cpu":  # a traced loop would fix the number of windows
        yield (images, rows, columns), (True, True)
        return
    logit_bytes = q[0, 0, 0].numel() // q.shape[-1] * q.shape[-2] * q.element_size()
    most = max(1, PIECE_BYTES // logit_bytes)
    step = (
        max(1, min(images, most // (rows * columns))),
        max(1, min(rows, most // columns)),
        min(columns, most),
    )
    starts = (
        range(0, size, part) for size, part in zip((images, rows, columns), step, strict=True)
    )
    for image, row, column in itertools.product(*starts):
        left = (images - image, rows - row, columns - column)
        box = (min(left[0], step[0]), min(left[1], step[1]), min(left[2], step[2]))
        yield box, (box[1] == left[1], box[2] == left[2])
