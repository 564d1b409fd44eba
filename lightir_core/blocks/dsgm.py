"""DSGM, the dual selective gating module (Compacter, ACM MM 2024).

Notation: C width, E hidden width.
    u = DW(W_a x),  v = DW(W_b x)
    cross:    z = σ(u) ⊙ v + u ⊙ GELU(v)
    literal:  z = 2 σ(u) ⊙ GELU(v)
    single:   z = σ(u) ⊙ v
    y = W z;    params = 3CE + 18E + 2E + 2E + C for every reading
As drawn in the paper both products get the same two activated maps, which makes them equal
("literal"); "cross", where each path gates and is gated, is the reading in which two products
make sense.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core import architecture as arch
from lightir_core.blocks.layout import channels_first, channels_last
from lightir_core.blocks.projection import build_linear


class Dsgm(nn.Module):
    """Two depth-wise paths that gate each other."""

    def __init__(self, settings: arch.DsgmConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        hidden, bias = settings.hidden_dim, settings.bias
        self.reading = settings.reading
        self.inward_u = build_linear(width, hidden, bias=bias)
        self.inward_v = build_linear(width, hidden, bias=bias)
        self.depthwise_u = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=bias)
        self.depthwise_v = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=bias)
        self.outward = build_linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        x = channels_last(x)
        u = self.depthwise_u(channels_first(self.inward_u(x)))
        v = self.depthwise_v(channels_first(self.inward_v(x)))
        return channels_first(self.outward(channels_last(self._gate(u, v))))

    def _gate(self, u: Tensor, v: Tensor) -> Tensor:
        if self.reading == "cross":
            return torch.sigmoid(u) * v + u * F.gelu(v)
        if self.reading == "literal":
            return 2 * torch.sigmoid(u) * F.gelu(v)
        return torch.sigmoid(u) * v
