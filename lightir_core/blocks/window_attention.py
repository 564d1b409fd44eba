"""Shifted-window attention (Liu et al., Swin Transformer, ICCV 2021) and what others added to it.

Notation: C width, h heads, N = Wh·Ww tokens a window, d channels per head.
    Attention(Q, K, V) = SoftMax(QKᵀ / √d + B) V                     SwinIR, DRT
    logits = τ · (q/‖q‖ · k/‖k‖) + B,  τ = exp(min(t, ln 100))       GRFormer (cosine)
    y = (S ⊙ σ(T) + T ⊙ σ(S) + DWConv(V)) Wₒ                         Compacter (see casa.py)
    macs = 4HWC²/g + 2NHWC                                           g groups per projection
Differs from the papers: q, k and v are projected on the map, so that splitting windows and heads is
one copy; the function is the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lightir_core import architecture as arch
from lightir_core.blocks.attention import attend
from lightir_core.blocks.casa import ChannelBranch
from lightir_core.blocks.layout import channels_first, channels_last
from lightir_core.blocks.position import build_position
from lightir_core.blocks.projection import build_projection
from lightir_core.blocks.unit import unit
from lightir_core.blocks.windows import ShiftMask, merge_heads, roll, split_heads


class WindowAttention(nn.Module):
    """Attention inside windows of a (B, C, H, W) map whose sides the window divides."""

    def __init__(self, settings: arch.WindowAttentionConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        self.num_heads = settings.num_heads
        self.window_size = settings.window_size
        self.shift_size = settings.shift_size
        key_dim, value_dim = arch.inner_dims(settings, width)
        keys, values = self.num_heads * key_dim, self.num_heads * value_dim
        self.q = build_projection(settings.projection, width, keys)
        self.k = build_projection(settings.projection, width, keys)
        self.v = build_projection(settings.projection, width, values)
        self.output = build_projection(settings.output, values, width)
        cosine = settings.logits == "cosine"
        self.log_tau = (
            nn.Parameter(torch.full((self.num_heads, 1, 1), math.log(10))) if cosine else None
        )
        self.position = build_position(settings.position, self.window_size, self.num_heads)
        self.mask = ShiftMask(self.window_size, self.shift_size) if any(self.shift_size) else None
        self.channel = ChannelBranch(settings.channel) if settings.channel else None
        self.depthwise = (
            nn.Conv2d(values, values, 3, padding=1, groups=values, bias=settings.depthwise_bias)
            if settings.depthwise_value
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        rows, columns = self.shift_size
        x = roll(channels_last(x), (-rows, -columns))
        q, k, v = self.q(x), self.k(x), self.v(x)  # (B, H, W, h·d)
        y = self._attend_windows(q, k, v)
        if self.channel is not None:  # blind to where pixels stand, so the shift may stay
            y = self.channel(q, k, v, y)
        y = roll(y, (rows, columns))
        if self.depthwise is not None:
            v = channels_first(roll(v, (rows, columns)))
            y = y + channels_last(self.depthwise(v))
        return channels_first(self.output(y))

    def _attend_windows(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Maps (B, H, W, h·d) in, a map (B, H, W, h·d) out."""
        q, k, v = (split_heads(map_, self.window_size, self.num_heads) for map_ in (q, k, v))
        q, k = self._scale(q, k)
        bias = None if self.position is None else self.position()
        return merge_heads(attend(q, k, v, bias, self.mask), self.window_size)

    def _scale(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        if self.log_tau is None:
            return q * q.shape[-1] ** -0.5, k
        tau = self.log_tau.clamp(max=math.log(100)).exp()
        return unit(q) * tau, unit(k)
