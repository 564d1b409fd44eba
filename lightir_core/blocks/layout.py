"""Two views of one feature map; neither copies when the map is channels-last in memory.

Parts of a network exchange (B, C, H, W); linear layers and LayerNorm want (B, H, W, C).
"""

from __future__ import annotations

from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) seen as (B, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """(B, H, W, C) seen as (B, C, H, W)."""
    return x.permute(0, 3, 1, 2)
