"""GSWA, group shifted window attention in cascade (AgileIR, ICANN 2025; after EfficientViT).

Notation: C width, h heads = channel groups, d = C/h, k key width, N = Wh·Ww.
    F_1 = X_1,  F_i = X_i + O_{i−1}
    [Q, K, V] = BN(W F_i),  Q = BN(DW5x5(Q));  O_i = softmax(QKᵀ / √k + B_i + mask) V
    y = BN(W ReLU([O_1 … O_h]))
    params = h[(d + 2)(2k + d) + 27k] + C² + 2C + (2Wh − 1)(2Ww − 1)h
Differs from the released code, which computes all this and then returns its input: here the
attention is used and the shift is masked, as the paper says.

BN of a linear map needs no pass over the map: over tokens x of mean μ and covariance Σ,
    mean(Wx) = Wμ,  var(Wx) = diag(W Σ Wᵀ),  BN(Wx) = (s W)(x − μ) + β,  s = γ / √(var + ε)
so each is one linear map, in training as in evaluation, and Wx is never kept.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.block_config import CascadeAttentionConfig
from lightir_core.blocks.attention import TablePosition, attend
from lightir_core.blocks.axes import (
    Axis,
    Branch,
    Channels,
    Extent,
    Grouped,
    along,
    batch_norm,
    dense,
    joined,
    within,
)
from lightir_core.blocks.windows import ShiftMask, channels_first, channels_last, roll

Grid = tuple[int, int]
Maps = tuple[Tensor, Tensor, Tensor]


class CascadeHead(nn.Module):
    """The maps of one head: q, k, v from a channel group, and the depth-wise filter on q."""

    def __init__(self, group_dim: int, key_dim: int) -> None:
        """Build the maps of one head for a group of `group_dim` channels."""
        super().__init__()
        self.key_dim = key_dim
        self.qkv = nn.Conv2d(group_dim, 2 * key_dim + group_dim, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * key_dim + group_dim)
        self.filter = nn.Conv2d(key_dim, key_dim, 5, padding=2, groups=key_dim, bias=False)
        self.filter_norm = nn.BatchNorm2d(key_dim)

    def forward(self, group: Tensor) -> Maps:
        """Project (windows, Wh, Ww, d) to q, k · 1 / √k, v: (windows, Wh, Ww, its width)."""
        widths = (self.key_dim, self.key_dim, group.shape[-1])
        ones = self.norm.weight.new_ones
        scale = torch.cat(
            [ones(n) * by for n, by in zip(widths, (1, widths[1] ** -0.5, 1), strict=True)]
        )
        qkv = normed_linear(self.qkv, self.norm, group, scale)
        q, k, v = qkv.split(widths, dim=-1)
        q = channels_last(self.filter_norm(self.filter(channels_first(q))))
        return q, k, v


class CascadeAttention(Branch):
    """Heads one after another inside the windows of a (B, C, H, W) map."""

    def __init__(self, settings: CascadeAttentionConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__(settings, width)
        self.num_heads = settings.num_heads
        self.window_size = settings.window_size
        self.shift_size = settings.shift_size
        self.cascade = settings.cascade
        group_dim = width // self.num_heads
        self.heads = nn.ModuleList(
            CascadeHead(group_dim, settings.key_dim) for _ in range(self.num_heads)
        )
        self.position = TablePosition(self.window_size, self.num_heads)
        nn.init.zeros_(self.position.table)
        self.mask = ShiftMask(self.window_size, self.shift_size) if any(self.shift_size) else None
        self.output = nn.Conv2d(width, width, 1, bias=False)
        self.output_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.output_norm.weight)  # the branch starts as nothing

    @staticmethod
    def channels(settings: CascadeAttentionConfig, width: int) -> Channels:
        """Return the axes of every head.

        A head reads its slice of the trunk, and its values are added to the slice of the next one.
        """
        heads, keys = settings.num_heads, settings.key_dim
        trunk = torch.arange(width)
        slices = [along(width=part) for part in trunk.chunk(heads)]
        axes: dict[str, tuple[Axis, ...] | Grouped] = {}
        values: list[Axis] = []
        for head, read in enumerate(slices):
            values.append(slices[min(head + 1, heads - 1)] if settings.cascade else read)
            key = along(keys=torch.arange(keys) + head * keys)
            rows = joined(key, key, values[-1])
            axes[f"heads.{head}.qkv.weight"] = (rows, read)
            axes |= batch_norm(f"heads.{head}.norm", rows)
            axes[f"heads.{head}.filter.weight"] = (key,)
            axes |= batch_norm(f"heads.{head}.filter_norm", key)
        axes |= dense("output", joined(*values), along(width=trunk), bias=False)
        axes |= batch_norm("output_norm", along(width=trunk))
        parts = ("weight", "bias")
        return Channels(
            axes={**axes, **within("position", TablePosition.axes({}))},
            extents={
                "width": Extent(heads, width // heads),
                "keys": Extent(heads, keys, ("key_dim",)),
            },
            rooted=tuple(f"heads.{i}.filter_norm.{part}" for i in range(heads) for part in parts),
            root=keys,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        rows, columns = self.shift_size
        x = roll(channels_last(x), (-rows, -columns))
        height, width = self.window_size
        grid = x.shape[1] // height, x.shape[2] // width
        windows = rearrange(x, "b (nh wh) (nw ww) c -> (b nh nw) wh ww c", wh=height, ww=width)
        y = F.relu(self._attend_groups(windows, grid))
        y = normed_linear(self.output, self.output_norm, y)
        layout = "(b nh nw) wh ww c -> b (nh wh) (nw ww) c"
        y = rearrange(y, layout, nh=grid[0], nw=grid[1])
        return channels_first(roll(y, (rows, columns)))

    def _attend_groups(self, windows: Tensor, grid: Grid) -> Tensor:
        """Return (B·nh·nw, Wh, Ww, C), the heads' outputs side by side."""
        biases = self.position()
        outputs: list[Tensor] = []
        groups = windows.chunk(self.num_heads, dim=-1)
        for head, group, bias in zip(self.heads, groups, biases, strict=True):
            if outputs and self.cascade:
                group = group + outputs[-1]
            outputs.append(self._attend_group(head(group), bias, grid))
        return torch.cat(outputs, dim=-1)

    def _attend_group(self, maps: Maps, bias: Tensor, grid: Grid) -> Tensor:
        """Return one head's output, (B·nh·nw, Wh, Ww, d)."""
        layout = "(b nh nw) wh ww c -> b nh nw 1 (wh ww) c"
        q, k, v = (rearrange(map_, layout, nh=grid[0], nw=grid[1]) for map_ in maps)
        y = attend(q, k, v, bias[None], self.mask, kept_bytes=0)
        return y.flatten(0, 3).unflatten(1, self.window_size)


def normed_linear(
    conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor, scale: Tensor | float = 1.0
) -> Tensor:
    """Times `scale`, norm(conv(x)) of a 1x1 convolution without bias; (..., channels)."""
    weight = conv.weight.flatten(1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if norm.training:
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            x, var = _centre(x.to(weight.dtype), weight, norm)
        bias = norm.bias
        gain = norm.weight * torch.rsqrt(var + norm.eps)
    else:
        gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        bias = norm.bias - gain * norm.running_mean
    return F.linear(x, weight * (gain * scale)[:, None], bias * scale)


def _centre(x: Tensor, weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """X − μ, and the variance of `weight` x over all tokens; both are counted in `norm`."""
    mean = x.flatten(0, -2).mean(0)
    x = x - mean
    tokens = x.flatten(0, -2)
    covariance = tokens.t() @ tokens / len(tokens)
    var = (weight @ covariance * weight).sum(1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    with torch.no_grad():
        unbiased = var * (len(tokens) / max(1, len(tokens) - 1))
        norm.running_mean.lerp_(weight @ mean, norm.momentum)
        norm.running_var.lerp_(unbiased, norm.momentum)
        if norm.num_batches_tracked is not None:  # None while the batch is computed again
            norm.num_batches_tracked += 1
    return x, var
