"""EDSR's residual block (Lim et al., CVPRW 2017) without its skip, which the block around it adds.

Notation: k kernel side, C width, E hidden channels. params = 2k²CE + E + C.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core import architecture as arch


class ResidualConvolution(nn.Module):
    """Two convolutions with a ReLU between them."""

    def __init__(self, settings: arch.ResidualConvolutionConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        hidden, kernel = settings.hidden_dim or width, settings.kernel_size
        self.conv1 = nn.Conv2d(width, hidden, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(hidden, width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        return self.conv2(F.relu(self.conv1(x)))
