"""The blocks: one paper's idea a file, and the tables that say which settings make which module.

Every module maps (B, C, H, W) to (B, C, H, W). A new block is its settings in
`lightir_core/architecture.py`, a file here, and a line in a table below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from lightir_core import architecture as arch
from lightir_core.blocks.cascade_attention import CascadeAttention
from lightir_core.blocks.dsgm import Dsgm
from lightir_core.blocks.feed_forward import DepthwiseMlp, Mlp
from lightir_core.blocks.residual_convolution import ResidualConvolution
from lightir_core.blocks.window_attention import WindowAttention

__all__ = ["FEED_FORWARDS", "MIXERS"]

# settings type -> (settings, width) -> module
MIXERS: dict[type, Callable[[Any, int], nn.Module]] = {
    arch.WindowAttentionConfig: WindowAttention,
    arch.CascadeAttentionConfig: CascadeAttention,
    arch.ResidualConvolutionConfig: ResidualConvolution,
}
FEED_FORWARDS: dict[type, Callable[[Any, int], nn.Module]] = {
    arch.MlpConfig: Mlp,
    arch.DepthwiseMlpConfig: DepthwiseMlp,
    arch.DsgmConfig: Dsgm,
}
