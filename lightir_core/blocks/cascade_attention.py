"""GSWA, group shifted window attention in cascade (AgileIR, ICANN 2025; after EfficientViT).

Notation: C width, h heads = channel groups, d = C/h, k key width, N = Wh·Ww.
    F_1 = X_1,  F_i = X_i + O_{i−1}
    [Q, K, V] = BN(W F_i),  Q = BN(DW5x5(Q));  O_i = softmax(QKᵀ / √k + B_i + mask) V
    y = BN(W ReLU([O_1 … O_h]))
    params = h[(d + 2)(2k + d) + 27k] + C² + 2C + (2Wh − 1)(2Ww − 1)h
Differs from the released code, which computes all this and then returns its input: here the
attention is used and the shift is masked, as the paper says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lightir_core import architecture as arch
from lightir_core.blocks.attention import attend
from lightir_core.blocks.layout import channels_first, channels_last
from lightir_core.blocks.position import TablePosition
from lightir_core.blocks.windows import ShiftMask, roll

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
        """(windows, d, Wh, Ww) to q, k, v, each (windows, width, Wh, Ww)."""
        qkv = self.norm(self.qkv(group))
        q, k, v = qkv.split((self.key_dim, self.key_dim, qkv.shape[1] - 2 * self.key_dim), dim=1)
        return self.filter_norm(self.filter(q)), k, v


class CascadeAttention(nn.Module):
    """Heads one after another inside the windows of a (B, C, H, W) map.

    Attributes:
        recompute: in training, forget what a head computed and compute it again for its gradient:
            the same numbers for half the memory and a third more time; see `set_recomputation`.
    """

    def __init__(self, settings: arch.CascadeAttention, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        self.num_heads = settings.num_heads
        self.window_size = settings.window_size
        self.shift_size = settings.shift_size
        self.cascade = settings.cascade
        self.recompute = True
        group_dim = width // self.num_heads
        self.heads = nn.ModuleList(
            CascadeHead(group_dim, settings.key_dim) for _ in range(self.num_heads)
        )
        self.position = TablePosition(self.window_size, self.num_heads)
        nn.init.zeros_(self.position.table)
        shifted = any(self.shift_size) and settings.masked
        self.mask = ShiftMask(self.window_size, self.shift_size) if shifted else None
        self.output = nn.Conv2d(width, width, 1, bias=False)
        self.output_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.output_norm.weight)  # the branch starts as nothing

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        rows, columns = self.shift_size
        x = roll(channels_last(x), (-rows, -columns))
        grid = x.shape[1] // self.window_size[0], x.shape[2] // self.window_size[1]
        y = self._attend_groups(_split_windows(x, self.window_size), grid)
        y = self.output_norm(self.output(F.relu(y)))
        y = rearrange(
            channels_last(y),
            "(b nh nw) wh ww c -> b (nh wh) (nw ww) c",
            nh=grid[0],
            nw=grid[1],
        )
        return channels_first(roll(y, (rows, columns)))

    def _attend_groups(self, windows: Tensor, grid: Grid) -> Tensor:
        """(B·nh·nw, C, Wh, Ww), the heads' outputs side by side."""
        biases = self.position()
        outputs: list[Tensor] = []
        groups = windows.chunk(self.num_heads, dim=1)
        for head, group, bias in zip(self.heads, groups, biases, strict=True):
            if outputs and self.cascade:
                group = group + outputs[-1]
            outputs.append(self._run_head(head, group, bias, grid))
        return torch.cat(outputs, dim=1)

    def _run_head(self, head: nn.Module, group: Tensor, bias: Tensor, grid: Grid) -> Tensor:
        if not (self.recompute and self.training and torch.is_grad_enabled()):
            return _attend_group(head, group, bias, self.mask, grid)
        # Weights that are lent for this call only (`torch.func.functional_call`) are gone when the
        # gradient is computed: keep the very tensors.
        weights: dict[str, Tensor] = dict(head.named_parameters())
        return checkpoint(
            _attend_group,
            lambda x: functional_call(head, weights, x),
            group,
            bias,
            self.mask,
            grid,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (contextlib.nullcontext(), _statistics_at_rest(head)),
        )


def _attend_group(
    head: Callable[[Tensor], Maps], group: Tensor, bias: Tensor, mask: ShiftMask | None, grid: Grid
) -> Tensor:
    """One head on its channel group, both (B·nh·nw, d, Wh, Ww)."""
    q, k, v = (
        rearrange(map_, "(b nh nw) c wh ww -> b nh nw (wh ww) c", nh=grid[0], nw=grid[1])
        for map_ in head(group)
    )
    y = attend(q * q.shape[-1] ** -0.5, k, v, bias, mask)
    return rearrange(y, "b nh nw (wh ww) c -> (b nh nw) c wh ww", wh=group.shape[2])


@contextlib.contextmanager
def _statistics_at_rest(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms use the batch but do not count it: it was counted the first time."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    settings = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, settings, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches


def _split_windows(x: Tensor, window: tuple[int, int]) -> Tensor:
    """(B, H, W, C) to (B·nh·nw, C, Wh, Ww), channels-last in memory."""
    windows = rearrange(x, "b (nh wh) (nw ww) c -> (b nh nw) wh ww c", wh=window[0], ww=window[1])
    return channels_first(windows)


def set_recomputation(network: nn.Module, enabled: bool) -> None:
    """Choose between memory and time for the training of every GSWA in `network`."""
    for module in network.modules():
        if isinstance(module, CascadeAttention):
            module.recompute = enabled
