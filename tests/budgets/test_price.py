from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.budget import Cost, Size, parse_size
from budgets.parts import Part, feature_size, parts
from budgets.price import price, skeleton_cost, stage_cost, trace_part
from budgets.trace import count_macs
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CrossLayerConfig,
    MlpConfig,
    ResidualConvolutionConfig,
    StageConfig,
    StemConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.errors import BudgetError
from lightir_core.network import build
from lightir_core.published.presets import preset
from tests.budgets.random_architectures import random_architecture

HD = parse_size("1280x720")
SWIN = BlockConfig(
    mixer=WindowAttentionConfig(num_heads=6, window_size=(8, 8)),
    feed_forward=MlpConfig(hidden_dim=120),
)
CONVOLUTION = BlockConfig(mixer=ResidualConvolutionConfig())


def traced(architecture, size):
    """The whole network, built and traced at once."""
    sides = (-(-side // architecture.scale) for side in (size.height, size.width))
    with torch.device("meta"):
        network = build(architecture).eval()
        image = torch.empty(1, architecture.in_channels, *sides)
        macs = count_macs(lambda: network(image))
    return Cost(sum(p.numel() for p in network.parameters()), macs)


def swinir_light(scale):
    return Architecture(
        width=60,
        scale=scale,
        stages=(StageConfig(blocks=(SWIN,) * 6),) * 4,
        stem=StemConfig(norm=True),
        normalisation="div2k",
    )


@pytest.mark.parametrize("size", [Size(64, 96), Size(45, 71), HD], ids=str)
@pytest.mark.parametrize("seed", range(25))
def test_the_sum_over_parts_is_the_trace_of_the_network(seed, size):
    architecture = random_architecture(seed)
    assert price(architecture, size) == traced(architecture, size)


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(25, 75), marks=pytest.mark.slow),
        pytest.param(range(75, 225), marks=pytest.mark.sweep),
    ],
    ids=len,
)
@pytest.mark.parametrize("size", [Size(64, 96), HD], ids=str)
def test_the_sum_over_parts_is_the_trace_of_many_networks(size, seeds):
    wrong = [
        seed
        for seed in seeds
        if price(random_architecture(seed), size) != traced(random_architecture(seed), size)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("scale", "params", "macs"),
    [
        # Liang et al., SwinIR, 2021, lightweight model, tables counted; 1280x720 output
        (2, 910_152, 240.91e9),
        (3, 918_267, 109.25e9),
        (4, 929_628, 62.71e9),
    ],
)
def test_swinir_light(scale, params, macs):
    cost = price(swinir_light(scale), HD)
    assert cost.params == params
    assert round(cost.macs, -7) == macs


def test_window_attention_costs_what_swin_eq_2_says():
    # Swin Transformer, Eq. (2): 4·HW·C² + 2·M²·HW·C
    block = BlockConfig(mixer=WindowAttentionConfig(num_heads=6, window_size=(8, 8)))
    cost = trace_part(Part("block", block, 60), Size(64, 64))
    assert cost.macs == 4 * 64 * 64 * 60**2 + 2 * 8**2 * 64 * 64 * 60 == 90_439_680
    # 4(C² + C) of the projections, (2M − 1)²·h of the table, 2C of the norm
    assert cost.params == 4 * (60**2 + 60) + 15**2 * 6 + 2 * 60


def test_a_drt_like_network_recurses_for_nothing_but_work():
    stage = StageConfig(blocks=(SWIN, SWIN), anchor="every")
    once = Architecture(width=60, stages=(stage,))
    thrice = replace(once, stages=(replace(stage, recursions=3),))
    untied = replace(once, stages=(replace(stage, recursions=3, tied=False),))
    size = Size(64, 64)
    block = stage_cost(stage, 60, size).macs - 9 * 60 * 60 * 64 * 64  # less the closing one
    assert price(thrice, size).params == price(once, size).params
    assert price(thrice, size).macs == price(once, size).macs + 2 * block
    assert price(untied, size).macs == price(thrice, size).macs
    assert price(untied, size).params == price(once, size).params + 2 * 2 * 30_810


def test_stages_that_share_weights_pay_for_them_once_but_not_for_cross_layer_slots():
    plain = StageConfig(blocks=(SWIN,))
    slot = replace(plain, cross_layer=CrossLayerConfig(keys=9, references=1))
    apart = Architecture(width=60, stages=(plain, slot, plain, slot))
    shared = replace(apart, stage_sharing=2)
    size = Size(64, 64)
    stage = stage_cost(slot, 60, size)
    # CLA: 3KL(C + 1) + C² + C
    assert stage.slot_params == 3 * 9 * 61 + 60 * 61
    assert price(apart, size).params - price(shared, size).params == 2 * stage.shared_params
    assert price(apart, size).macs == price(shared, size).macs


def test_edsr_baseline_without_its_mean_layers():
    # EDSR x2, 16 blocks of 64 channels: 1,369,859 parameters, 316.25 G at 1280x720
    stage = StageConfig(
        blocks=(replace(CONVOLUTION, norm="none"),) * 16, closing="none", skip="none"
    )
    edsr = Architecture(width=64, scale=2, stages=(stage,), tail=TailConfig(upsampler="staged"))
    edsr = replace(edsr, body=replace(edsr.body, norm=False))
    assert price(edsr, HD) == Cost(1_369_859, 316_248_883_200)


def test_the_cost_is_that_of_the_padded_size():
    architecture = Architecture(
        width=12, scale=3, stages=(StageConfig(blocks=(SWIN, CONVOLUTION)),)
    )
    assert feature_size(3, 1, 8, HD) == Size(240, 432)  # 427 columns are padded to 432
    assert price(architecture, Size(720, 1280)) == price(architecture, Size(720, 1296))
    assert price(architecture, Size(1, 1)) == price(architecture, Size(24, 24))


def test_each_distinct_part_is_listed_once_per_use():
    uses = list(parts(swinir_light(2), HD))
    assert [use.part.kind for use in uses].count("mixer") == 24
    kinds = sorted(use.part.kind for use in set(uses))
    assert kinds == ["body", "closing", "feed_forward", "mixer", "shell", "stem", "tail"]
    assert {use.size for use in uses} == {Size(360, 640)}


@given(
    width=st.sampled_from((6, 12, 24)),
    blocks=st.integers(1, 3),
    stages=st.integers(1, 3),
    recursions=st.integers(1, 3),
)
@settings(max_examples=20, deadline=None)
def test_more_of_anything_costs_more(width, blocks, stages, recursions):
    size = Size(32, 32)

    def cost(**changes):
        values = {"width": width, "blocks": blocks, "stages": stages, "recursions": recursions}
        values |= changes
        stage = StageConfig(blocks=(SWIN,) * values["blocks"], recursions=values["recursions"])
        return price(Architecture(width=values["width"], stages=(stage,) * values["stages"]), size)

    base = cost()
    for more in (cost(blocks=blocks + 1), cost(stages=stages + 1), cost(width=2 * width)):
        assert more.params > base.params
        assert more.macs > base.macs
    deeper = cost(recursions=recursions + 1)
    assert deeper.params == base.params
    assert deeper.macs > base.macs


def test_equal_stages_of_other_objects_cost_the_same():
    first, second = (random_architecture(seed=5) for _ in range(2))
    assert first.stages[0] is not second.stages[0]
    assert price(first, HD) == price(second, HD)


def test_stage_and_skeleton_costs_add_up_to_the_price():
    architecture = swinir_light(4)
    features = feature_size(4, 1, 8, HD)
    stages = [stage_cost(stage, 60, features) for stage in architecture.stages]
    skeleton = skeleton_cost(architecture, features)
    assert price(architecture, HD) == Cost(
        skeleton.params + sum(s.shared_params + s.slot_params for s in stages),
        skeleton.macs + sum(s.macs for s in stages),
    )


def test_a_part_with_unknown_arithmetic_cannot_be_priced(monkeypatch):
    monkeypatch.setattr(
        "lightir_core.blocks.residual_convolution.F.relu", lambda x: torch.fft.fft2(x).real
    )
    block = BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=7))
    with pytest.raises(BudgetError, match="operation '_fft_"):
        price(Architecture(width=11, stages=(StageConfig(blocks=(block,)),)), Size(13, 17))


@pytest.mark.parametrize(
    ("name", "task", "params", "gmacs"),
    [
        # GRFormer (ACM MM 2024), counted on the released code at 1280x720, padded to 32
        ("grformer", "sr-x2", 780_936, 363.15),
        ("grformer", "sr-x3", 789_051, 170.41),
        ("grformer", "sr-x4", 800_412, 91.99),
        ("swinir-light", "sr-x4", 929_628, 62.71),
        # EDSR-baseline: 316.3 / 160.3 / 114.2 G; at x3 the 427th column costs 0.1 more
        ("edsr-baseline", "sr-x2", 1_369_859, 316.25),
        ("edsr-baseline", "sr-x3", 1_554_499, 160.44),
        ("edsr-baseline", "sr-x4", 1_517_571, 114.23),
        # the same with four ACLA slots, K = 9: + 40,040 parameters and + 92,800 MACs per pixel
        ("edsr-acla", "sr-x2", 1_369_859 + 40_040, 316.249 + 92_800 * 640 * 360 / 1e9),
    ],
)
def test_the_published_systems_cost_what_is_printed(name, task, params, gmacs):
    cost = price(preset(name, task), HD)
    assert cost.params == params
    assert cost.macs / 1e9 == pytest.approx(gmacs, abs=0.006)


def test_drt_costs_what_its_closed_form_says():
    # DRT (CVPRW 2022), derain at 56x56: 1,180,347 parameters, 8.875 G
    cost = price(preset("drt", "derain"), Size(56, 56))
    assert cost == Cost(1_180_347, 8_874_528_768)
