"""Random architectures over every axis of the description, seeded."""

import random

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
    TablePositionConfig,
    TailConfig,
    WindowAttentionConfig,
)

WIDTHS = (12, 24, 36)
WINDOWS = ((4, 4), (8, 8), (4, 8), (8, 4), (2, 16))


def random_architecture(seed: int) -> Architecture:
    """One architecture, decided by `seed`."""
    rng = random.Random(seed)
    width = rng.choice(WIDTHS)
    stages = [_stage(rng, width, number) for number in range(rng.randint(1, 3))]
    sharing = rng.choice((1, 1, 1, 2))
    if sharing == 2:
        stages = [stage for stage in stages for _ in range(2)]
    patch = rng.choice((1, 1, 1, 2))
    in_channels = rng.choice((3, 3, 1))
    return Architecture(
        width=width,
        stages=tuple(stages),
        stage_sharing=sharing,
        in_channels=in_channels,
        out_channels=rng.choice((in_channels, 3)),
        scale=rng.choice((1, 2, 3, 4)),
        stem=StemConfig(
            kernel_size=2 if patch == 2 else rng.choice((1, 3)),
            patch_size=patch,
            norm=rng.random() < 0.5,
        ),
        body=BodyConfig(
            norm=rng.random() < 0.5,
            closing=rng.choice(("convolution", "none")),
            skip=rng.random() < 0.5,
        ),
        tail=TailConfig(upsampler=rng.choice(("direct", "staged"))),
    )


def _stage(rng: random.Random, width: int, number: int) -> StageConfig:
    recursions = rng.choice((1, 1, 2, 3))
    closing = rng.choice(("convolution", "depthwise", "none"))
    return StageConfig(
        blocks=tuple(_block(rng, width) for _ in range(rng.randint(1, 3))),
        recursions=recursions,
        tied=recursions == 1 or rng.random() < 0.5,
        anchor=rng.choice(("every", "last", "none")),
        closing=closing,
        skip=rng.choice(("input", "none") if closing == "none" else ("input", "output", "none")),
        cross_layer=_cross_layer(rng, number) if rng.random() < 0.3 else None,
    )


def _cross_layer(rng: random.Random, number: int) -> CrossLayerConfig:
    return CrossLayerConfig(
        keys=rng.choice((2, 5, 9)),
        references=rng.randint(1, number + 1),
        selection=rng.choice(("none", "soft", "hard")),
        depthwise_tail=rng.random() < 0.5,
    )


def _block(rng: random.Random, width: int) -> BlockConfig:
    mixer = rng.choice((_window_attention, _window_attention, _cascade, _convolution))
    hidden = rng.choice((width, 2 * width, width + 5))
    rng.choice(range(3))  # a switch that is gone: the same architectures as before
    feed_forwards = (
        MlpConfig(hidden_dim=hidden),
        DepthwiseMlpConfig(hidden_dim=hidden),
        DsgmConfig(hidden_dim=hidden),
        None,
    )
    return BlockConfig(
        mixer=mixer(rng, width),
        feed_forward=rng.choice(feed_forwards),
        norm=rng.choice(("pre", "post", "none")),
    )


def _window_attention(rng: random.Random, width: int) -> WindowAttentionConfig:
    window, heads = rng.choice(WINDOWS), rng.choice((1, 2, 3))
    pruned = rng.random() < 0.3
    head_dim = rng.choice((2, 4)) if pruned else None
    channel = rng.random() < 0.3
    groups = 1 if pruned else rng.choice((1, 2, 3))
    return WindowAttentionConfig(
        num_heads=heads,
        window_size=window,
        shift_size=rng.choice(((0, 0), (window[0] // 2, window[1] // 2))),
        key_dim=head_dim,
        value_dim=head_dim if channel or not pruned else 6,
        projection=ProjectionConfig(
            groups=groups, residual=not pruned and rng.random() < 0.5, bias=rng.random() < 0.5
        ),
        output=ProjectionConfig(groups=groups),
        logits=rng.choice(("dot", "cosine")),
        position=rng.choice((TablePositionConfig(), ExponentialPositionConfig(hidden=16), None)),
        channel=ChannelBranchConfig(interaction=rng.random() < 0.5) if channel else None,
        depthwise_value=rng.random() < 0.3,
    )


def _cascade(rng: random.Random, width: int) -> CascadeAttentionConfig:
    window = rng.choice(WINDOWS)
    heads, key_dim = rng.choice((1, 2, 3)), rng.choice((2, 5))
    shift = rng.choice(((0, 0), (window[0] // 2, window[1] // 2)))
    rng.random()  # a switch that is gone: the same architectures as before
    return CascadeAttentionConfig(
        num_heads=heads,
        key_dim=key_dim,
        window_size=window,
        shift_size=shift,
        cascade=rng.random() < 0.5,
    )


def _convolution(rng: random.Random, width: int) -> ResidualConvolutionConfig:
    return ResidualConvolutionConfig(
        hidden_dim=rng.choice((None, width // 2)), kernel_size=rng.choice((3, 5))
    )
