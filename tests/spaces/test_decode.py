"""What each value of each dimension builds."""

import pytest

from lightir_core.architecture import (
    CascadeAttentionConfig,
    ChannelBranchConfig,
    CrossLayerConfig,
    DepthwiseMlpConfig,
    DsgmConfig,
    ExponentialPositionConfig,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    TablePositionConfig,
    WindowAttentionConfig,
)
from lightir_core.errors import ArchitectureError, SpaceError
from spaces import TaskShape
from spaces.decode import NETWORK_DEFAULTS, STAGE_DEFAULTS, decode_network, parse_window

SHAPE = TaskShape(scale=2)


def decoded(**stage):
    """A network of one stage with these choices; those of the network begin with `net_`."""
    network = {k.removeprefix("net_"): v for k, v in stage.items() if k.startswith("net_")}
    choices = {"width": 24, "stages": 1, **network}
    choices |= {f"stage1.{k}": v for k, v in stage.items() if not k.startswith("net_")}
    return decode_network(choices, SHAPE)


def block_of(index=0, **stage):
    return decoded(**stage).stages[0].blocks[index]


def test_the_defaults_are_a_light_network_of_dense_shifted_windows():
    architecture = decode_network({}, SHAPE)
    assert (architecture.width, len(architecture.stages), architecture.stage_sharing) == (48, 2, 1)
    stage = architecture.stages[0]
    assert (stage.recursions, stage.anchor, stage.closing, stage.skip) == (
        1, "none", "convolution", "input",
    )  # fmt: skip
    assert [block.mixer.shift_size for block in stage.blocks] == [(0, 0), (4, 4)]
    assert stage.blocks[0].mixer == WindowAttentionConfig(num_heads=4, window_size=(8, 8))
    assert stage.blocks[0].feed_forward == MlpConfig(hidden_dim=96)
    assert architecture.tail.skip == "interpolated"
    assert architecture.body.norm


def test_the_shape_is_the_tasks():
    architecture = decode_network(
        {"tail_skip": "none"}, TaskShape(4, in_channels=1, out_channels=3)
    )
    assert (architecture.scale, architecture.in_channels, architecture.out_channels) == (4, 1, 3)


WINDOW = WindowAttentionConfig(num_heads=4, window_size=(8, 8))

MIXERS = {
    "window": ({}, WINDOW),
    "heads": ({"heads": 3}, WindowAttentionConfig(num_heads=3, window_size=(8, 8))),
    "oblong": ({"window": "4x16"}, WindowAttentionConfig(num_heads=4, window_size=(4, 16))),
    "grouped": (
        {"groups": 2},
        WindowAttentionConfig(
            num_heads=4,
            window_size=(8, 8),
            projection=ProjectionConfig(groups=2, residual=True),
            output=ProjectionConfig(groups=2),
        ),
    ),
    "cosine": (
        {"logits": "cosine", "position": "exponential"},
        WindowAttentionConfig(
            num_heads=4, window_size=(8, 8), logits="cosine", position=ExponentialPositionConfig()
        ),
    ),
    "no position": (
        {"position": "none"},
        WindowAttentionConfig(num_heads=4, window_size=(8, 8), position=None),
    ),
    "table": (
        {"position": "table"},
        WindowAttentionConfig(num_heads=4, window_size=(8, 8), position=TablePositionConfig()),
    ),
    "channel branch": (
        {"channel": True, "channel_heads": 2, "depthwise_value": True},
        WindowAttentionConfig(
            num_heads=4,
            window_size=(8, 8),
            channel=ChannelBranchConfig(num_heads=2),
            depthwise_value=True,
        ),
    ),
    "cascade": (
        {"mixer": "cascade", "key_dim": 4, "heads": 6},
        CascadeAttentionConfig(num_heads=6, key_dim=4, window_size=(8, 8)),
    ),
    "convolution": ({"mixer": "convolution"}, ResidualConvolutionConfig()),
}


@pytest.mark.parametrize("case", MIXERS)
def test_mixers(case):
    choices, expected = MIXERS[case]
    assert block_of(**choices).mixer == expected


def test_a_convolution_is_a_whole_block():
    block = block_of(mixer="convolution")
    assert (block.feed_forward, block.norm) == (None, "none")


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"feed_forward": "mlp", "ratio": 1.5}, MlpConfig(hidden_dim=36)),
        ({"feed_forward": "depthwise_mlp", "ratio": 2.0}, DepthwiseMlpConfig(hidden_dim=48)),
        ({"feed_forward": "dsgm", "ratio": 1.0}, DsgmConfig(hidden_dim=24)),
        ({"feed_forward": "mlp", "ratio": 0.01}, MlpConfig(hidden_dim=1)),
        ({"feed_forward": "none"}, None),
    ],
)
def test_feed_forwards(choices, expected):
    assert block_of(**choices).feed_forward == expected


def test_blocks_shift_in_turn():
    shifts = [block.mixer.shift_size for block in decoded(blocks=4).stages[0].blocks]
    assert shifts == [(0, 0), (4, 4), (0, 0), (4, 4)]
    unshifted = decoded(blocks=2, shift="none").stages[0].blocks
    assert [block.mixer.shift_size for block in unshifted] == [(0, 0), (0, 0)]


def test_transposed_windows_turn_in_pairs():
    """GRFormer: a plain and a shifted block with 8x16, then both with 16x8."""
    blocks = decoded(blocks=4, window="8x16", transpose=True).stages[0].blocks
    assert [(b.mixer.window_size, b.mixer.shift_size) for b in blocks] == [
        ((8, 16), (0, 0)), ((8, 16), (4, 8)), ((16, 8), (0, 0)), ((16, 8), (8, 4)),
    ]  # fmt: skip


def test_recursion_adds_the_anchor_at_every_pass():
    stage = decoded(recursions=3, recursion_weights="untied").stages[0]
    assert (stage.recursions, stage.tied, stage.anchor) == (3, False, "every")
    assert decoded(recursions=3).stages[0].tied


def test_cross_layer():
    stage = decoded(cross_keys=4, cross_references=1, cross_selection="soft").stages[0]
    assert stage.cross_layer == CrossLayerConfig(keys=4, references=1, selection="soft")
    assert decoded(cross_keys=0).stages[0].cross_layer is None


def test_stages_have_choices_of_their_own():
    choices = {"width": 24, "stages": 2, "stage1.blocks": 1, "stage2.blocks": 3}
    stages = decode_network(choices, SHAPE).stages
    assert [len(stage.blocks) for stage in stages] == [1, 3]


def test_shared_stages_follow_their_leader():
    choices = {"width": 24, "stages": 3, "stage_sharing": 2, "stage1.blocks": 1, "stage3.blocks": 4}
    architecture = decode_network(choices, SHAPE)
    assert [len(stage.blocks) for stage in architecture.stages] == [1, 1, 4]
    assert architecture.stage_sharing == 2


def test_equal_stages_are_one_object():
    """Pricing looks stages up by identity first."""
    choices = {"width": 24, "stages": 2, "stage1.heads": 2, "stage2.heads": 2}
    first, second = (decode_network(choices, SHAPE) for _ in range(2))
    assert first.stages[0] is second.stages[1]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"heads": 5}, "num_heads=5 does not divide width=24"),
        ({"cross_keys": 1, "cross_references": 2}, "references=2, but only 1 earlier"),
        ({"skip": "output", "closing": "none"}, "skip='output' bypasses the closing convolution"),
    ],
)
def test_contradictions_are_refused_by_the_architecture(choices, message):
    with pytest.raises(ArchitectureError, match=message):
        decoded(**choices)


@pytest.mark.parametrize("name", ["closing", "skip", "cross_selection"])
def test_unknown_words_are_refused(name):
    with pytest.raises(SpaceError, match=r"'wrong' is not one of \["):
        decoded(**{"cross_keys": 1, name: "wrong"})


@pytest.mark.parametrize("text", ["8", "8x", "x8", "8x8x8", "8×8", "-8x8", "8.0x8", " 8x8", ""])
def test_windows_are_two_whole_numbers(text):
    with pytest.raises(SpaceError, match="is not HEIGHTxWIDTH; write for example 8x8 or 4x16"):
        parse_window(text)


def test_windows_name_their_height_first():
    assert parse_window("4x16") == (4, 16)


@pytest.mark.parametrize("name", sorted(STAGE_DEFAULTS))
def test_stage_defaults_are_what_leaving_out_means(name):
    extra = {"cross_keys": 1} if name.startswith("cross_") and name != "cross_keys" else {}
    assert decoded(**extra) == decoded(**{**extra, name: STAGE_DEFAULTS[name]})


@pytest.mark.parametrize("name", sorted(set(NETWORK_DEFAULTS) - {"width", "stages"}))
def test_network_defaults_are_what_leaving_out_means(name):
    assert decoded() == decoded(**{f"net_{name}": NETWORK_DEFAULTS[name]})
