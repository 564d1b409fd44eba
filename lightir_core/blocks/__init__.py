"""The blocks: one paper's idea a file, and the tables that say which settings make which module.

Every module maps (B, C, H, W) to (B, C, H, W). A new block is its settings in
`lightir_core/block_config.py`, a file here, and a line in a table below.
"""

from lightir_core import block_config as config
from lightir_core.blocks.axes import Branch
from lightir_core.blocks.cascade_attention import CascadeAttention
from lightir_core.blocks.dsgm import Dsgm
from lightir_core.blocks.feed_forward import DepthwiseMlp, Mlp
from lightir_core.blocks.residual_convolution import ResidualConvolution
from lightir_core.blocks.window_attention import WindowAttention

__all__ = ["FEED_FORWARDS", "MIXERS"]

# type of the settings -> module, built from (settings, width)
MIXERS: dict[type, type[Branch]] = {
    config.WindowAttentionConfig: WindowAttention,
    config.CascadeAttentionConfig: CascadeAttention,
    config.ResidualConvolutionConfig: ResidualConvolution,
}
FEED_FORWARDS: dict[type, type[Branch]] = {
    config.MlpConfig: Mlp,
    config.DepthwiseMlpConfig: DepthwiseMlp,
    config.DsgmConfig: Dsgm,
}
