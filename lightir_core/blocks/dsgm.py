"""DSGM, the dual selective gating module (Compacter, ACM MM 2024).

Notation: C width, E hidden width.
    u = DW(W_a x),  v = DW(W_b x),  z = σ(u) ⊙ v + u ⊙ GELU(v),  y = W z
    params = 3CE + 18E + 2E + 2E + C
As drawn in the paper both products get the same two activated maps, which makes them equal. Here
each path gates and is gated: the reading in which two products make sense.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.block_config import DsgmConfig
from lightir_core.blocks.axes import Branch, Channels, Extent, along, dense, vectors
from lightir_core.blocks.projection import build_linear
from lightir_core.blocks.windows import channels_first, channels_last


class Dsgm(Branch):
    """Two depth-wise paths that gate each other."""

    def __init__(self, settings: DsgmConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__(settings, width)
        hidden, bias = settings.hidden_dim, settings.bias
        self.inward_u = build_linear(width, hidden, bias=bias)
        self.inward_v = build_linear(width, hidden, bias=bias)
        self.depthwise_u = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=bias)
        self.depthwise_v = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=bias)
        self.outward = build_linear(hidden, width, bias=bias)

    @staticmethod
    def channels(settings: DsgmConfig, width: int) -> Channels:
        """Return the axes of all five layers."""
        trunk, hidden = along(width=width), along(hidden=settings.hidden_dim)
        bias = settings.bias
        return Channels(
            axes={
                **dense("inward_u", trunk, hidden, bias=bias),
                **dense("inward_v", trunk, hidden, bias=bias),
                **vectors("depthwise_u", hidden, bias=bias),
                **vectors("depthwise_v", hidden, bias=bias),
                **dense("outward", hidden, trunk, bias=bias),
            },
            extents={"hidden": Extent(1, settings.hidden_dim, ("hidden_dim",))},
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        x = channels_last(x)
        u = self.depthwise_u(channels_first(self.inward_u(x)))
        v = self.depthwise_v(channels_first(self.inward_v(x)))
        gated = torch.sigmoid(u) * v + u * F.gelu(v)
        return channels_first(self.outward(channels_last(gated)))
