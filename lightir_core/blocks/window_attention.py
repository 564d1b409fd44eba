"""Shifted-window attention (Liu et al., Swin Transformer, ICCV 2021) and what others added to it.

Notation: C width, h heads, N = Wh·Ww tokens a window, d channels per head.
    Attention(Q, K, V) = SoftMax(QKᵀ / √d + B) V                     SwinIR, DRT
    logits = τ · (q/‖q‖ · k/‖k‖) + B,  τ = exp(min(t, ln 100))       GRFormer (cosine)
    y = (S ⊙ σ(T) + T ⊙ σ(S) + DWConv(V)) Wₒ                         Compacter (see casa.py)
    macs = 4HWC²/g + 2NHWC                                           g groups per projection
Differs from the papers: q, k and v are projected on the map, so that splitting windows and heads is
one copy; the function is the same.
"""

import math

import torch
from torch import Tensor, nn

from lightir_core.block_config import (
    ExponentialPositionConfig,
    Position,
    ProjectionConfig,
    WindowAttentionConfig,
    inner_dims,
)
from lightir_core.blocks.attention import ExponentialPosition, TablePosition, attend
from lightir_core.blocks.axes import (
    Axes,
    Axis,
    Branch,
    Channels,
    Extent,
    Grouped,
    along,
    dense,
    vectors,
    within,
)
from lightir_core.blocks.casa import ChannelBranch
from lightir_core.blocks.projection import build_projection, unit
from lightir_core.blocks.windows import (
    ShiftMask,
    channels_first,
    channels_last,
    merge_heads,
    roll,
    split_heads,
)


class WindowAttention(Branch):
    """Attention inside windows of a (B, C, H, W) map whose sides the window divides."""

    def __init__(self, settings: WindowAttentionConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__(settings, width)
        self.num_heads = settings.num_heads
        self.window_size = settings.window_size
        self.shift_size = settings.shift_size
        key_dim, value_dim = inner_dims(settings, width)
        keys, values = self.num_heads * key_dim, self.num_heads * value_dim
        self.q = _project(settings.projection, width, keys)
        self.k = _project(settings.projection, width, keys)
        self.v = _project(settings.projection, width, values)
        self.output = _project(settings.output, values, width)
        cosine = settings.logits == "cosine"
        self.log_tau = (
            nn.Parameter(torch.full((self.num_heads, 1, 1), math.log(10))) if cosine else None
        )
        self.position = build_position(settings.position, self.window_size, self.num_heads)
        self.mask = ShiftMask(self.window_size, self.shift_size) if any(self.shift_size) else None
        branch = settings.channel
        self.channel = (
            ChannelBranch(branch.num_heads, interaction=branch.interaction) if branch else None
        )
        self.depthwise = (
            nn.Conv2d(values, values, 3, padding=1, groups=values, bias=settings.depthwise_bias)
            if settings.depthwise_value
            else None
        )

    @staticmethod
    def channels(settings: WindowAttentionConfig, width: int) -> Channels:
        """Return the axes of the projections and of what stands beside them.

        A row of q or k is a key of a head, one of v a value of a head. The channel branch ties
        both: then they are one kind, `inner`.
        """
        heads, (key_dim, value_dim) = settings.num_heads, inner_dims(settings, width)
        kinds = ("keys", "values") if settings.channel is None else ("inner", "inner")
        one = torch.arange(heads)
        trunk, by_head = along(width=width), along(heads=one)
        keys, values = (
            along(**{kind: heads * dim}, heads=one.repeat_interleave(dim))
            for kind, dim in zip(kinds, (key_dim, value_dim), strict=True)
        )
        groups, bias = settings.projection.groups, settings.projection.bias
        out = settings.output
        axes: dict[str, tuple[Axis, ...] | Grouped] = {}
        for name, rows in (("q", keys), ("k", keys), ("v", values)):
            axes |= dense(name, trunk, rows, groups=groups, bias=bias)
        axes |= dense("output", values, trunk, groups=out.groups, bias=out.bias)
        if settings.depthwise_value:
            axes |= vectors("depthwise", values, bias=settings.depthwise_bias)
        cosine = settings.logits == "cosine"
        if cosine:
            axes["log_tau"] = (by_head,)
        if settings.channel is not None:
            axes["channel.temperature"] = ()
        return Channels(
            axes={**axes, **within("position", _position_axes(settings.position, by_head))},
            extents=_extents(settings, width),
            rooted=() if cosine else ("q.weight", "q.bias"),
            root=key_dim,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
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


def _extents(settings: WindowAttentionConfig, width: int) -> dict[str, Extent]:
    """Return what can shrink; heads only where they fall into the groups of the projections."""
    heads, (key_dim, value_dim) = settings.num_heads, inner_dims(settings, width)
    groups = settings.projection.groups
    both = math.lcm(groups, settings.output.groups)
    extents = {"width": Extent(both, width // both)}
    if settings.channel is None:
        lanes = math.lcm(heads, groups), math.lcm(heads, both)
        extents["keys"] = Extent(lanes[0], heads * key_dim // lanes[0], ("key_dim",))
        extents["values"] = Extent(lanes[1], heads * value_dim // lanes[1], ("value_dim",))
    else:
        both = math.lcm(both, settings.channel.num_heads)
        inner = math.lcm(heads, both)
        extents["inner"] = Extent(inner, heads * key_dim // inner, ("key_dim", "value_dim"))
    if heads % both == 0:
        extents["heads"] = Extent(both, heads // both, ("num_heads",))
    if isinstance(settings.position, ExponentialPositionConfig):
        extents["position"] = Extent(1, settings.position.hidden, ("position.hidden",))
    return extents


def _position_axes(settings: Position | None, heads: Axis) -> Axes:
    if settings is None:
        return {}
    if isinstance(settings, ExponentialPositionConfig):
        return ExponentialPosition.axes(heads, settings.hidden)
    return TablePosition.axes(heads)


def _project(settings: ProjectionConfig, inputs: int, outputs: int) -> nn.Module:
    groups, residual, bias = settings.groups, settings.residual, settings.bias
    return build_projection(inputs, outputs, groups=groups, residual=residual, bias=bias)


def build_position(
    settings: Position | None, window: tuple[int, int], num_heads: int
) -> nn.Module | None:
    """Return the module that `settings` describes; calling it gives (h, N, N)."""
    if settings is None:
        return None
    if isinstance(settings, ExponentialPositionConfig):
        return ExponentialPosition(window, num_heads, settings.hidden)
    return TablePosition(window, num_heads)
