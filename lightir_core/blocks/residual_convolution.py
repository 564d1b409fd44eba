"""EDSR's residual block (Lim et al., CVPRW 2017) without its skip, which the block around it adds.

Notation: k kernel side, C width, E hidden channels. params = 2k²CE + E + C.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.block_config import ResidualConvolutionConfig
from lightir_core.blocks.axes import Branch, Channels, Extent, along, dense


class ResidualConvolution(Branch):
    """Two convolutions with a ReLU between them."""

    def __init__(self, settings: ResidualConvolutionConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__(settings, width)
        hidden, kernel = settings.hidden_dim or width, settings.kernel_size
        self.conv1 = nn.Conv2d(width, hidden, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(hidden, width, kernel, padding=kernel // 2)

    @staticmethod
    def channels(settings: ResidualConvolutionConfig, width: int) -> Channels:
        """Return the axes of both convolutions."""
        hidden_dim = settings.hidden_dim or width
        trunk, hidden = along(width=width), along(convolution=hidden_dim)
        return Channels(
            axes={**dense("conv1", trunk, hidden), **dense("conv2", hidden, trunk)},
            extents={"convolution": Extent(1, hidden_dim, ("hidden_dim",))},
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        return self.conv2(F.relu(self.conv1(x)))
