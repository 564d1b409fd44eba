"""The one place where queries meet keys, so that another kernel can take its place.

Explicit products rather than fused attention: a learned bias as `attn_mask` makes the fused
kernel fall back to the same products, it cannot be exported with a mask, and counters read
it as zero.
"""

from __future__ import annotations

from torch import Tensor

from lightir_core.blocks.windows import ShiftMask


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
    logits = q @ k.transpose(-2, -1)
    if bias is not None:
        # under autocast the product is bfloat16 and the bias float32: the sum is float32
        logits = logits + bias
    if mask is not None:
        logits = mask(logits)
    weights = logits.softmax(dim=-1)
    return weights.to(v.dtype) @ v
