from dataclasses import replace

import pytest

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    ChannelBranchConfig,
    CrossLayerConfig,
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
from results.describe import describe_architecture, describe_stages, summarise


def test_grformer_like_architecture(architecture):
    assert describe_architecture(architecture) == (
        "width 48; 3 stages of 2 blocks: window attention 8×8, 6 heads, grouped (g=2) residual "
        "projections, depth-wise MLP 96, 1 of 2 shifted; output added to the interpolated input"
    )
    assert summarise(architecture) == "width 48, 3 stages, 6 blocks of window attention"


def test_unlike_stages_are_told_apart(architecture):
    first, second = architecture.stages[0], replace(architecture.stages[0], recursions=2)
    words = describe_stages(replace(architecture, stages=(first, second, second)))
    assert [phrase.split(":")[0] for phrase in words[:2]] == [
        "1 stage of 2 blocks", "2 stages of 2 blocks",
    ]  # fmt: skip
    assert words[1].endswith("2 passes sharing weights")
    untied = replace(architecture, stages=(replace(second, tied=False),))
    assert "2 passes each with its own weights" in describe_architecture(untied)
    assert summarise(untied) == "width 48, 1 stage, 4 blocks of window attention"


def words_of(block, **stage):
    return describe_stages(Architecture(width=48, stages=(StageConfig(blocks=(block,), **stage),)))[
        0
    ]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (BlockConfig(mixer=ResidualConvolutionConfig()), "residual convolutions 3×3"),
        (
            BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=96, kernel_size=5), norm="none"),
            "residual convolutions 5×5 96 wide, no norm",
        ),
        (
            BlockConfig(
                mixer=CascadeAttentionConfig(
                    num_heads=4, key_dim=8, window_size=(8, 8), cascade=False
                ),
                feed_forward=MlpConfig(hidden_dim=64),
                norm="post",
            ),
            "cascade attention 8×8, 4 heads (keys 8), heads apart, MLP 64, norm after",
        ),
        (
            BlockConfig(
                mixer=WindowAttentionConfig(
                    num_heads=5,
                    window_size=(16, 8),
                    key_dim=6,
                    value_dim=7,
                    position=None,
                    logits="cosine",
                ),
                feed_forward=DsgmConfig(hidden_dim=48),
            ),
            "window attention 16×8, 5 heads (keys 6, values 7), cosine logits, no position bias, "
            "gated DSGM 48",
        ),
        (
            BlockConfig(
                mixer=WindowAttentionConfig(
                    num_heads=1,
                    window_size=(8, 8),
                    shift_size=(4, 4),
                    output=ProjectionConfig(groups=2),
                    depthwise_value=True,
                    position=ExponentialPositionConfig(hidden=64),
                    channel=ChannelBranchConfig(num_heads=3),
                    projection=ProjectionConfig(bias=False),
                )
            ),
            "window attention 8×8, 1 head, bias-free projections, grouped (g=2) output, "
            "exponential-space position bias (M=64), channel branch of 3 heads, depth-wise values, "
            "all shifted",
        ),
    ],
)
def test_every_block_has_words(block, words):
    assert words_of(block) == f"1 stage of 1 block: {words}"


def test_the_rest_of_a_stage_and_of_the_network():
    block = BlockConfig(mixer=ResidualConvolutionConfig())
    cross = CrossLayerConfig(keys=32, references=1, selection="hard")
    words = words_of(block, closing="depthwise", skip="none", cross_layer=cross)
    assert words.endswith(
        "depth-wise closing convolution, no skip, cross-layer attention to 1 earlier output "
        "(32 keys each, keys selected)"
    )
    network = Architecture(
        width=8,
        stages=(StageConfig(blocks=(block,)),) * 2,
        scale=2,
        stage_sharing=2,
        stem=StemConfig(kernel_size=2, patch_size=2),
        tail=TailConfig(upsampler="staged"),
    )
    assert describe_stages(network)[1:] == [
        "2 stages share weights", "patches of 2×2", "enlarged in stages",
    ]  # fmt: skip
    same_size = Architecture(width=8, stages=network.stages, tail=TailConfig(skip="interpolated"))
    assert describe_architecture(same_size).endswith("output added to the input")
