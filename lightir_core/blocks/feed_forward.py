"""Feed-forwards per pixel: the plain MLP and GRFormer's with depth-wise convolutions inside.

Notation: C width, E hidden width.
    Mlp:           W₂ GELU(W₁ x)                               params = 2CE + E + C
    DepthwiseMlp:  y = GELU(W₁ x);  W₂ (y + DW(GELU(DW(y))))   params = 2CE + 21E + C
"""

from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.block_config import DepthwiseMlpConfig, MlpConfig
from lightir_core.blocks.axes import Branch, Channels, Extent, along, dense, vectors
from lightir_core.blocks.projection import build_linear
from lightir_core.blocks.windows import channels_first, channels_last


class Mlp(Branch):
    """Linear, GELU, Linear."""

    def __init__(self, settings: MlpConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__(settings, width)
        self.inward = build_linear(width, settings.hidden_dim)
        self.outward = build_linear(settings.hidden_dim, width)

    @staticmethod
    def channels(settings: MlpConfig, width: int) -> Channels:
        """Return the axes of both layers."""
        trunk, hidden = along(width=width), along(hidden=settings.hidden_dim)
        return Channels(
            axes={**dense("inward", trunk, hidden), **dense("outward", hidden, trunk)},
            extents={"hidden": Extent(1, settings.hidden_dim, ("hidden_dim",))},
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return channels_first(self.outward(F.gelu(self.inward(channels_last(x)))))


class DepthwiseMlp(Branch):
    """The MLP of GRFormer's released code, with a 3x3 depth-wise residual between its layers."""

    def __init__(self, settings: DepthwiseMlpConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__(settings, width)
        hidden = settings.hidden_dim
        self.inward = build_linear(width, hidden)
        self.depthwise1 = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.depthwise2 = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.outward = build_linear(hidden, width)

    @staticmethod
    def channels(settings: DepthwiseMlpConfig, width: int) -> Channels:
        """Return the axes of all four layers."""
        trunk, hidden = along(width=width), along(hidden=settings.hidden_dim)
        return Channels(
            axes={
                **dense("inward", trunk, hidden),
                **vectors("depthwise1", hidden),
                **vectors("depthwise2", hidden),
                **dense("outward", hidden, trunk),
            },
            extents={"hidden": Extent(1, settings.hidden_dim, ("hidden_dim",))},
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        y = channels_first(F.gelu(self.inward(channels_last(x))))
        y = y + self.depthwise2(F.gelu(self.depthwise1(y)))
        return channels_first(self.outward(channels_last(y)))
