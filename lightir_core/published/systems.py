"""The published designs: one function per paper, its design choices written down, sizes left open.

Same-size tasks add the input image to the output, as SwinIR's and Compacter's own heads for them
do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lightir_core.architecture import (
    Architecture,
    Block,
    Body,
    CascadeAttention,
    ChannelBranch,
    CrossLayer,
    DepthwiseMlp,
    Dsgm,
    ExponentialPosition,
    Mlp,
    Projection,
    ResidualConvolution,
    Stage,
    Stem,
    Tail,
    WindowAttention,
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
    feed_forward = Mlp(hidden_dim=hidden_dim)

    def block(heads: int, index: int) -> Block:
        shift = window // 2 * (index % 2)
        mixer = WindowAttention(
            num_heads=heads, window_size=(window, window), shift_size=(shift, shift)
        )
        return Block(mixer=mixer, feed_forward=feed_forward)

    stages = tuple(
        Stage(blocks=tuple(block(heads, index) for index in range(depth)))
        for depth, heads in zip(depths, num_heads, strict=True)
    )
    return _swin_frame(width, stages, scale)


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
    feed_forward = Mlp(hidden_dim=hidden_dim)

    def block(heads: int, key_dim: int, index: int) -> Block:
        shift = window // 2 * (index % 2)
        mixer = CascadeAttention(
            num_heads=heads,
            key_dim=key_dim,
            window_size=(window, window),
            shift_size=(shift, shift),
        )
        return Block(mixer=mixer, feed_forward=feed_forward)

    stages = tuple(
        Stage(blocks=tuple(block(heads, key_dim, index) for index in range(depth)))
        for depth, heads, key_dim in zip(depths, num_heads, key_dims, strict=True)
    )
    return _swin_frame(width, stages, scale)


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

    def block(heads: int, index: int) -> Block:
        turned = index // 2 % 2 == 1
        mixer = WindowAttention(
            num_heads=heads,
            window_size=(window[1], window[0]) if turned else window,
            shift_size=(window[0] // 2, window[1] // 2) if index % 2 else (0, 0),
            projection=Projection(groups=2, residual=True),
            output=Projection(groups=2),
            logits="cosine",
            position=ExponentialPosition(),
        )
        return Block(mixer=mixer, feed_forward=DepthwiseMlp(hidden_dim=hidden_dim), norm="post")

    stages = tuple(
        Stage(blocks=tuple(block(heads, index) for index in range(depth)), skip="output")
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
    block = Block(
        mixer=WindowAttention(num_heads=num_heads, window_size=(window, window)),
        feed_forward=Mlp(hidden_dim=hidden_dim),
    )
    stage = Stage(blocks=(block, block), recursions=recursions, anchor="every", skip="none")
    return Architecture(
        width=width,
        stages=(stage,) * stages,
        scale=scale,
        normalisation="imagenet",
        stem=Stem(kernel_size=patch_size, patch_size=patch_size),
        body=Body(norm=False, closing="none"),
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
    mixer = WindowAttention(
        num_heads=num_heads,
        window_size=(window, window),
        projection=Projection(bias=False),
        channel=ChannelBranch(num_heads=num_channel_heads),
        output=Projection(bias=bias),
        depthwise_value=True,
        depthwise_bias=bias,
    )
    block = Block(mixer=mixer, feed_forward=Dsgm(hidden_dim=hidden_dim, bias=bias))
    return Architecture(
        width=width,
        stages=(Stage(blocks=(block,) * depth, closing="none", skip="none"),),
        scale=scale,
        body=Body(norm=False),
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
    block = Block(mixer=ResidualConvolution(), norm="none")

    def slot(number: int) -> CrossLayer | None:
        if not keys:
            return None
        return CrossLayer(
            keys=keys, references=number + 1, selection=selection, depthwise_tail=depthwise_tail
        )

    stages = tuple(
        Stage(blocks=(block,) * depth, closing="none", skip="none", cross_layer=slot(number))
        for number, depth in enumerate(depths)
    )
    return Architecture(
        width=width,
        stages=stages,
        scale=scale,
        normalisation="div2k",
        body=Body(norm=False),
        tail=Tail(upsampler="staged", skip="interpolated" if scale == 1 else "none"),
    )


def _swin_frame(width: int, stages: tuple[Stage, ...], scale: int) -> Architecture:
    return Architecture(
        width=width,
        stages=stages,
        scale=scale,
        normalisation="div2k",
        stem=Stem(norm=True),
        tail=_light_tail(scale),
    )


def _light_tail(scale: int) -> Tail:
    return Tail(skip="interpolated" if scale == 1 else "none")
