import json
import pickle
import subprocess
import sys
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightir_core import architecture as arch
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    ChannelBranchConfig,
    CrossLayerConfig,
    DsgmConfig,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    StageConfig,
    StemConfig,
    TailConfig,
    WindowAttentionConfig,
    from_json,
    from_plain,
)
from lightir_core.errors import ArchitectureError

WINDOW = WindowAttentionConfig(num_heads=2, window_size=(4, 8))


def network(mixer=WINDOW, width=12, stages=1, **changes):
    stage = StageConfig(blocks=(BlockConfig(mixer=mixer, feed_forward=MlpConfig(hidden_dim=8)),))
    return Architecture(width=width, stages=(stage,) * stages, **changes)


def slotted(cross_layer):
    stage = StageConfig(blocks=(BlockConfig(mixer=WINDOW),), cross_layer=cross_layer)
    return Architecture(width=12, stages=(stage,))


def test_importing_it_loads_no_torch():
    code = "import sys, lightir_core.architecture; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_json_round_trip_keeps_value_and_id(architecture_of_seed, seed):
    architecture = architecture_of_seed(seed)
    again = from_json(architecture.to_json())
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.id == architecture.id
    assert from_plain(json.loads(json.dumps(architecture.to_plain()))) == architecture


def test_id_is_twelve_hexadecimal_digits_and_tells_networks_apart():
    assert len(network().id) == 12
    assert int(network().id, 16) >= 0
    assert len({network(width=w).id for w in (4, 8, 12)}) == 3


@pytest.mark.parametrize(
    ("spelling", "settled"),
    [
        (network(replace(WINDOW, key_dim=6)), network()),
        (network(replace(WINDOW, value_dim=6)), network()),
        (network(replace(WINDOW, shift_size=(4, 16))), network()),
        (network(ResidualConvolutionConfig(hidden_dim=12)), network(ResidualConvolutionConfig())),
    ],
)
def test_two_spellings_of_one_network_are_equal(spelling, settled):
    assert spelling == settled
    assert spelling.id == settled.id


def test_one_pass_settles_anchor_and_tying():
    block = BlockConfig(mixer=WINDOW)
    once = StageConfig(blocks=(block,), tied=False, anchor="last")
    assert once == StageConfig(blocks=(block,), tied=True, anchor="every")
    twice = StageConfig(blocks=(block,), recursions=2, tied=False, anchor="last")
    assert (twice.tied, twice.anchor) == (False, "last")


@pytest.mark.parametrize(
    ("sides", "patch", "multiple"), [((4, 8), 1, 8), ((7, 7), 2, 14), ((6, 4), 1, 12), (None, 4, 4)]
)
def test_window_multiple_is_what_all_windows_divide(sides, patch, multiple):
    mixer = ResidualConvolutionConfig() if sides is None else replace(WINDOW, window_size=sides)
    stem = StemConfig() if patch == 1 else StemConfig(kernel_size=patch, patch_size=patch)
    assert network(mixer, stem=stem).window_multiple == multiple


def test_inner_dims_read_none_as_the_share_of_a_head():
    assert arch.inner_dims(WINDOW, 12) == (6, 6)
    assert arch.inner_dims(replace(WINDOW, key_dim=3), 12) == (3, 6)


def test_divisors():
    assert arch.divisors(12) == [1, 2, 3, 4, 6, 12]


FAULTS = [
    (lambda: StageConfig(blocks=()), "no blocks"),
    (lambda: MlpConfig(hidden_dim=0), "hidden_dim: .*greater than or equal to 1"),
    (lambda: MlpConfig(hiden_dim=2), "unknown key 'hiden_dim'; did you mean 'hidden_dim'"),
    (lambda: WindowAttentionConfig(num_heads=2, window_size=(1, 8)), "window_size.0: .*equal to 2"),
    (lambda: Architecture(width=4, stages=()), "no stages"),
    (
        lambda: StageConfig(blocks=(BlockConfig(mixer=WINDOW),), closing="none", skip="output"),
        "bypasses the closing convolution",
    ),
    (lambda: network(replace(WINDOW, num_heads=5)), r"num_heads=5 does not divide width=12.*4, 6"),
    (
        lambda: network(CascadeAttentionConfig(num_heads=5, key_dim=4, window_size=(4, 4))),
        "num_heads=5 does not divide width=12",
    ),
    (
        lambda: network(replace(WINDOW, key_dim=4, projection=ProjectionConfig(residual=True))),
        r"residual projection needs keys as wide as the network \(12\), got 8",
    ),
    (
        lambda: network(replace(WINDOW, value_dim=4, output=ProjectionConfig(residual=True))),
        "needs values 12 wide",
    ),
    (
        lambda: network(replace(WINDOW, projection=ProjectionConfig(groups=5))),
        "groups=5 does not divide inputs=12",
    ),
    (
        lambda: network(replace(WINDOW, value_dim=5, output=ProjectionConfig(groups=4))),
        "groups=4 does not divide inputs=10",
    ),
    (
        lambda: network(replace(WINDOW, key_dim=4, channel=ChannelBranchConfig())),
        "needs key_dim == value_dim, got 4 and 6",
    ),
    (
        lambda: network(replace(WINDOW, channel=ChannelBranchConfig(num_heads=5))),
        r"channel\.num_heads=5 does not divide inner width=12",
    ),
    (
        lambda: network(stem=StemConfig(kernel_size=3, patch_size=2)),
        "patch_size=2 needs kernel_size=2",
    ),
    (lambda: network(stem=StemConfig(kernel_size=2)), "kernel_size=2 needs an equal patch_size"),
    (
        lambda: network(tail=TailConfig(upsampler="staged"), scale=5),
        "knows scales 1, 2, 3, 4, 8, not 5",
    ),
    (
        lambda: network(tail=TailConfig(skip="interpolated"), in_channels=4),
        "as many input as output channels, got 4 and 3",
    ),
    (
        lambda: network(normalisation="div2k", out_channels=1),
        "is for 3 channels in and out, got 3 and 1",
    ),
    (
        lambda: slotted(CrossLayerConfig(keys=1, references=2)),
        "references=2, but only 1 earlier",
    ),
    (
        lambda: Architecture(
            width=12,
            stages=network().stages + network(ResidualConvolutionConfig()).stages,
            stage_sharing=2,
        ),
        "stage 1 differs from stage 0",
    ),
]


@pytest.mark.parametrize(("make", "message"), FAULTS)
def test_impossible_networks_say_why(make, message):
    with pytest.raises(ArchitectureError, match=message):
        make()


def test_sharing_ignores_cross_layer_slots():
    plain = network().stages[0]
    slot = replace(plain, cross_layer=CrossLayerConfig(keys=2, references=1))
    assert Architecture(width=12, stages=(slot, plain), stage_sharing=2).stage_sharing == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not an architecture"),
        ({"version": 2}, "version 2 is not known.*update LightIR"),
        ({"version": 0}, "version 0 is not known"),
        ({"widht": 3}, "widht: unknown key 'widht'; did you mean 'width'"),
        ({"width": 0}, "width: .*greater than or equal to 1"),
        ({"width": "60"}, "width: .*valid integer"),
        ({"scale": 9}, "scale: .*less than or equal to 8"),
        ({"normalisation": "mean"}, "normalisation: .*'none', 'div2k'"),
    ],
)
def test_bad_files_name_the_place(change, message):
    with pytest.raises(ArchitectureError, match=message):
        from_plain(network().to_plain() | change)


def test_bad_blocks_name_their_place():
    plain = network().to_plain()
    plain["stages"][0]["blocks"][0]["mixer"]["num_heads"] = 5
    with pytest.raises(ArchitectureError, match=r"stages\.0\.blocks\.0\.mixer: num_heads=5"):
        from_plain(plain)
    plain["stages"][0]["blocks"][0]["mixer"] = {"kind": "convolution"}
    with pytest.raises(ArchitectureError, match=r"stages\.0\.blocks\.0\.mixer: .*kind"):
        from_plain(plain)
    with pytest.raises(ArchitectureError, match="not JSON"):
        from_json("{")
    with pytest.raises(ArchitectureError, match="not JSON"):
        from_json("[" * 100_000)
    with pytest.raises(ArchitectureError, match="not an architecture"):
        from_json("[]")


def test_settings_are_frozen_and_take_names_only():
    for part in (Architecture, StageConfig, BlockConfig, WindowAttentionConfig, TailConfig):
        assert part.__dataclass_params__.frozen
        assert all(f.kw_only for f in fields(part))


def test_a_pickled_stage_does_not_carry_its_hash():
    # another process hashes words differently
    stage = StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig(), norm="none"),))
    hash(stage)
    copy = pickle.loads(pickle.dumps(stage))
    assert "_hash" not in vars(copy)
    assert copy == stage
    assert hash(copy) == hash(stage)


def test_a_bias_is_told_only_where_it_is_missing():
    """Architectures from before the switch keep their ids."""
    gated = BlockConfig(mixer=WINDOW, feed_forward=DsgmConfig(hidden_dim=8))
    bare = replace(gated, feed_forward=DsgmConfig(hidden_dim=8, bias=False))
    plain, without = (
        Architecture(width=12, stages=(StageConfig(blocks=(block,)),)) for block in (gated, bare)
    )
    assert "bias" not in plain.to_plain()["stages"][0]["blocks"][0]["feed_forward"]
    assert "depthwise_bias" not in plain.to_json()
    assert from_json(without.to_json()) == without
    assert from_json(plain.to_json()) == plain
    assert without.id != plain.id
