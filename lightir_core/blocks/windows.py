"""Windows of a feature map, their cyclic shift, and the mask that the shift needs.

Notation: Wh, Ww window sides, N = Wh·Ww tokens, nh·nw windows, h heads, d channels per head.

After a cyclic shift by s < W only the windows at the far edge hold pixels that were not neighbours
before: the last s lines of the last window come from the opposite border (Liu et al., Swin
Transformer, ICCV 2021, section 3.2). So one (N, N) mask per axis, put on the last row and the last
column of windows, is the whole shift mask for every image size.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

MASKED = -1e9  # far below any logit; -100 would not hide keys from cosine logits of up to 116


def channels_last(x: Tensor) -> Tensor:
    """Return (B, C, H, W) seen as (B, H, W, C); no copy is made of a map that is channels-last.

    Parts of a network exchange (B, C, H, W); linear layers and LayerNorm want (B, H, W, C).
    """
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """Return (B, H, W, C) seen as (B, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def split_heads(x: Tensor, window: tuple[int, int], num_heads: int) -> Tensor:
    """Windows and heads of a map, in one copy.

    Args:
        x: (B, H, W, h·d), sides divisible by the window's.
        window: (Wh, Ww).
        num_heads: h; a head is a contiguous slice of channels.

    Returns:
        (B, nh, nw, h, N, d), tokens row-major.
    """
    return rearrange(
        x, "b (nh wh) (nw ww) (h d) -> b nh nw h (wh ww) d", wh=window[0], ww=window[1], h=num_heads
    )


def merge_heads(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Inverse of `split_heads`: (B, nh, nw, h, N, d) to (B, H, W, h·d)."""
    return rearrange(
        x, "b nh nw h (wh ww) d -> b (nh wh) (nw ww) (h d)", wh=window[0], ww=window[1]
    )


def roll(x: Tensor, shift: tuple[int, int]) -> Tensor:
    """Return (B, H, W, C) moved cyclically by `shift` rows and columns; free without a shift."""
    return torch.roll(x, shift, dims=(1, 2)) if any(shift) else x


class ShiftMask(nn.Module):
    """Hides from each token what the cyclic shift put beside it from the opposite border.

    Args:
        window: (Wh, Ww).
        shift: rows and columns that the map was rolled by, each below the window's side.
    """

    rows: Tensor | None
    columns: Tensor | None

    def __init__(self, window: tuple[int, int], shift: tuple[int, int]) -> None:
        """Compute the masks; they depend on no image size."""
        super().__init__()
        height, width = window
        row = torch.arange(height).repeat_interleave(width)
        column = torch.arange(width).repeat(height)
        rows = _apart(row >= height - shift[0]) if shift[0] else None
        columns = _apart(column >= width - shift[1]) if shift[1] else None
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(self, logits: Tensor, last: tuple[bool, bool] = (True, True)) -> Tensor:
        """Push hidden pairs to near minus infinity, in place.

        Args:
            logits: (B, rows, columns, ..., N, N), a part of the window grid.
            last: whether the part reaches the grid's last row and its last column.

        Returns:
            `logits`.
        """
        # A constant is added, so autograd has nothing to record; recording the in-place slices
        # would copy the whole gradient twice.
        with torch.no_grad():
            if self.rows is not None and last[0]:
                logits[:, -1].add_(self.rows)
            if self.columns is not None and last[1]:
                logits[:, :, -1].add_(self.columns)
        return logits


def _apart(wrapped: Tensor) -> Tensor:
    """Return (N, N) of 0 for tokens on the same side of the border and MASKED for others."""
    apart = wrapped[:, None] != wrapped[None, :]
    return torch.zeros(apart.shape).masked_fill(apart, MASKED)
