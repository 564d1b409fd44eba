"""The published designs: one function per paper, its design choices written down, sizes left open.

Same-size tasks add the input image to the output, as SwinIR's and Compacter's own heads for them
do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    BodyConfig,
    CascadeAttentionConfig,
    ChannelBranchConfig,
    CrossLayerConfig,
    DepthwiseMlpConfig,
    DsgmConfig,
    ExponentialPositionConfig,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    StageConfig,
    StemConfig,
    TailConfig,
    WindowAttentionConfig,
)


def swinir(
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    window: int,
    hidden_dim: int,
    scale: int,
) -> Architecture:
    """SwinIR (ICCVW 2021) with its light upsampler; `depths` and `num_heads` are per stage."""
    feed_forward = MlpConfig(hidden_dim=hidden_dim)

    def block(heads: int, index: int) -> BlockConfig:
        shift = window // 2 * (index % 2)
        mixer = WindowAttentionConfig(
            num_heads=heads, window_size=(window, window), shift_size=(shift, shift)
        )
        return BlockConfig(mixer=mixer, feed_forward=feed_forward)

    stages = tuple(
        StageConfig(blocks=tuple(block(heads, index) for index in range(depth)))
        for depth, heads in zip(depths, num_heads, strict=True)
    )
    return _swin_skeleton(width, stages, scale)


def agileir(
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    key_dims: Sequence[int],
    window: int,
    hidden_dim: int,
    scale: int,
) -> Architecture:
    """AgileIR (ICANN 2025): SwinIR's skeleton with GSWA; a key width per stage."""
    feed_forward = MlpConfig(hidden_dim=hidden_dim)

    def block(heads: int, key_dim: int, index: int) -> BlockConfig:
        shift = window // 2 * (index % 2)
        mixer = CascadeAttentionConfig(
            num_heads=heads,
            key_dim=key_dim,
            window_size=(window, window),
            shift_size=(shift, shift),
        )
        return BlockConfig(mixer=mixer, feed_forward=feed_forward)

    stages = tuple(
        StageConfig(blocks=tuple(block(heads, key_dim, index) for index in range(depth)))
        for depth, heads, key_dim in zip(depths, num_heads, key_dims, strict=True)
    )
    return _swin_skeleton(width, stages, scale)


def grformer(
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    window: tuple[int, int],
    hidden_dim: int,
    scale: int,
) -> Architecture:
    """GRFormer (ACM MM 2024) as released: windows turn every second pair of blocks.

    The released code does not turn the shift with the window; its weights expect that.
    """

    def block(heads: int, index: int) -> BlockConfig:
        turned = index // 2 % 2 == 1
        mixer = WindowAttentionConfig(
            num_heads=heads,
            window_size=(window[1], window[0]) if turned else window,
            shift_size=(window[0] // 2, window[1] // 2) if index % 2 else (0, 0),
            projection=ProjectionConfig(groups=2, residual=True),
            output=ProjectionConfig(groups=2),
            logits="cosine",
            position=ExponentialPositionConfig(),
        )
        return BlockConfig(
            mixer=mixer, feed_forward=DepthwiseMlpConfig(hidden_dim=hidden_dim), norm="post"
        )

    stages = tuple(
        StageConfig(blocks=tuple(block(heads, index) for index in range(depth)), skip="output")
        for depth, heads in zip(depths, num_heads, strict=True)
    )
    return Architecture(
        width=width, stages=stages, scale=scale, normalisation="div2k", tail=_light_tail(scale)
    )


def drt(
    width: int,
    stages: int,
    recursions: int,
    num_heads: int,
    window: int,
    hidden_dim: int,
    patch_size: Literal[1, 2, 4] = 1,
    scale: int = 1,
) -> Architecture:
    """DRT (CVPRW 2022): `stages` recursive transformer blocks of two blocks, never shifted."""
    block = BlockConfig(
        mixer=WindowAttentionConfig(num_heads=num_heads, window_size=(window, window)),
        feed_forward=MlpConfig(hidden_dim=hidden_dim),
    )
    stage = StageConfig(blocks=(block, block), recursions=recursions, anchor="every", skip="none")
    return Architecture(
        width=width,
        stages=(stage,) * stages,
        scale=scale,
        normalisation="imagenet",
        stem=StemConfig(kernel_size=patch_size, patch_size=patch_size),
        body=BodyConfig(norm=False, closing="none"),
        tail=_light_tail(scale),
    )


def compacter(
    width: int,
    depth: int,
    num_heads: int,
    window: int,
    hidden_dim: int,
    scale: int,
    *,
    num_channel_heads: int = 1,
    bias: bool = True,
) -> Architecture:
    """Compacter (ACM MM 2024); sizes and biases are a reconstruction from its parameter counts.

    `bias` is that of everything in a block but the projections to queries, keys and values.
    """
    mixer = WindowAttentionConfig(
        num_heads=num_heads,
        window_size=(window, window),
        projection=ProjectionConfig(bias=False),
        channel=ChannelBranchConfig(num_heads=num_channel_heads),
        output=ProjectionConfig(bias=bias),
        depthwise_value=True,
        depthwise_bias=bias,
    )
    block = BlockConfig(mixer=mixer, feed_forward=DsgmConfig(hidden_dim=hidden_dim, bias=bias))
    return Architecture(
        width=width,
        stages=(StageConfig(blocks=(block,) * depth, closing="none", skip="none"),),
        scale=scale,
        body=BodyConfig(norm=False),
        tail=_light_tail(scale),
    )


def edsr(
    width: int,
    depths: Sequence[int],
    scale: int,
    *,
    keys: int = 0,
    selection: Literal["none", "soft", "hard"] = "none",
    depthwise_tail: bool = False,
) -> Architecture:
    """EDSR (CVPRW 2017), with `keys` > 0 with cross-layer attention after each stage (ACLA).

    Slot t reads the stem's output and those of all t earlier stages.
    """
    block = BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")

    def slot(number: int) -> CrossLayerConfig | None:
        if not keys:
            return None
        return CrossLayerConfig(
            keys=keys, references=number + 1, selection=selection, depthwise_tail=depthwise_tail
        )

    stages = tuple(
        StageConfig(blocks=(block,) * depth, closing="none", skip="none", cross_layer=slot(number))
        for number, depth in enumerate(depths)
    )
    return Architecture(
        width=width,
        stages=stages,
        scale=scale,
        normalisation="div2k",
        body=BodyConfig(norm=False),
        tail=TailConfig(upsampler="staged", skip="interpolated" if scale == 1 else "none"),
    )


def _swin_skeleton(width: int, stages: tuple[StageConfig, ...], scale: int) -> Architecture:
    return Architecture(
        width=width,
        stages=stages,
        scale=scale,
        normalisation="div2k",
        stem=StemConfig(norm=True),
        tail=_light_tail(scale),
    )


def _light_tail(scale: int) -> TailConfig:
    return TailConfig(skip="interpolated" if scale == 1 else "none")
