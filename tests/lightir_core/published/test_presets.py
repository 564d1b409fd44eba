import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lightir_core import architecture as arch
from lightir_core.architecture import from_json
from lightir_core.errors import ArchitectureError
from lightir_core.network import build
from lightir_core.published.presets import PRESETS, edsr, preset, scale_of, shrink, spread_blocks

# all parameters, tables included; window_attention.md sections 1.6, 2.5, 3 and
# recursive_and_cross_layer.md sections 1.4, 2.4, 3.6
PARAMETERS = {
    ("swinir-light", "sr-x2"): 910_152,
    ("swinir-light", "sr-x3"): 918_267,
    ("swinir-light", "sr-x4"): 929_628,
    ("grformer", "sr-x2"): 780_936,
    ("grformer", "sr-x3"): 789_051,
    ("grformer", "sr-x4"): 800_412,
    ("agileir", "sr-x2"): 8_687_424,
    ("agileir", "sr-x3"): 8_711_739,
    ("agileir", "sr-x4"): 8_745_780,
    ("agileir-light", "sr-x2"): 782_856,
    ("agileir-light", "sr-x4"): 802_332,
    ("drt", "derain"): 1_180_347,
    ("compacter", "sr-x2"): 392_716,
    ("compacter", "sr-x3"): 399_211,
    ("compacter", "sr-x4"): 408_304,
    # published: 393 k, 399 k, 408 k and, for denoising and deraining, 407 k
    ("compacter", "denoise:15-50"): 406_902,
    ("compacter", "derain"): 406_902,
    ("compacter", "jpeg:10"): 406_902,
    ("edsr-baseline", "sr-x2"): 1_369_859,
    ("edsr-baseline", "sr-x3"): 1_554_499,
    ("edsr-baseline", "sr-x4"): 1_517_571,
    ("edsr-acla", "sr-x2"): 1_369_859 + 40_040,
    ("edsr-acla", "sr-x3"): 1_554_499 + 40_040,
    ("edsr-acla", "sr-x4"): 1_517_571 + 40_040,
    # no upsampler: its 4C filters of 9C weights and a bias are gone
    **dict.fromkeys(
        (("edsr-acla", task) for task in ("denoise", "demosaic", "jpeg")),
        1_369_859 + 40_040 - 4 * 64 * (9 * 64 + 1),
    ),
}
# for a 1280x720 output, attention products included; DRT at 56x56
MACS = {
    ("swinir-light", "sr-x2"): (360, 640, 240_910_848_000),
    ("swinir-light", "sr-x3"): (240, 427, 109_249_689_600),
    ("swinir-light", "sr-x4"): (180, 320, 62_710_732_800),
    ("grformer", "sr-x2"): (360, 640, 363_154_406_400),
    ("grformer", "sr-x3"): (240, 427, 170_408_770_560),
    ("grformer", "sr-x4"): (180, 320, 91_993_881_600),
    ("drt", "derain"): (56, 56, 2_829_888 * 56 * 56),
    # N=15, C=48, E=84, M=12 on sides padded to 264; section 2.5
    ("compacter", "denoise"): (256, 256, 648_648 * 264 * 264),
}
PRINTED = {  # the same in G, as the papers' notes print them
    ("swinir-light", "sr-x2"): 240.91,
    ("swinir-light", "sr-x3"): 109.25,
    ("swinir-light", "sr-x4"): 62.71,
    ("grformer", "sr-x2"): 363.15,
    ("grformer", "sr-x3"): 170.41,
    ("grformer", "sr-x4"): 91.99,
}


def parameters(architecture):
    with torch.device("meta"):
        return sum(p.numel() for p in build(architecture).parameters())


def macs(architecture, height, width):
    with torch.device("meta"), torch.no_grad():
        network = build(architecture).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, height, width))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("name", "task"), PARAMETERS)
def test_parameters_are_the_papers(name, task):
    assert parameters(preset(name, task)) == PARAMETERS[name, task]


@pytest.mark.parametrize(("name", "task"), MACS)
def test_macs_are_the_papers(name, task):
    height, width, expected = MACS[name, task]
    counted = macs(preset(name, task), height, width)
    assert counted == expected
    if (name, task) in PRINTED:
        assert round(counted / 1e9, 2) == PRINTED[name, task]


@pytest.mark.parametrize(("scale", "expected"), [(2, 1_404_049), (3, 1_588_689), (4, 1_551_761)])
def test_four_cross_layer_modules_on_edsr(scale, expected):
    assert parameters(edsr(64, (4, 4, 4, 4), scale, keys=9)) == expected


@pytest.mark.parametrize(("keys", "added"), [(4, 24_440), (8, 32_240), (16, 47_840)])
def test_other_key_counts_on_edsr(keys, added):
    assert parameters(edsr(64, (4, 4, 4, 4), 2, keys=keys)) == 1_369_859 + added


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("task", ["sr-x2", "sr-x3", "sr-x4", "denoise:15-50", "demosaic", "jpeg"])
def test_every_preset_is_for_every_task(name, task):
    architecture = preset(name, task)
    assert architecture.scale == scale_of(task)
    assert from_json(architecture.to_json()) == architecture
    assert (architecture.tail.skip == "interpolated") == (scale_of(task) == 1)


def test_grformer_keeps_the_quirk_of_its_shift():
    blocks = preset("grformer").stages[0].blocks
    grids = [(block.mixer.window_size, block.mixer.shift_size) for block in blocks[:4]]
    # the fourth rolls by (4, 16) on windows of 32x8: 16 columns are two whole windows
    assert grids == [((8, 32), (0, 0)), ((8, 32), (4, 16)), ((32, 8), (0, 0)), ((32, 8), (4, 0))]


def test_unknown_presets_get_a_hint():
    with pytest.raises(ArchitectureError, match="no preset 'grfomer'; did you mean 'grformer'"):
        preset("grfomer")


@pytest.mark.parametrize(
    ("depth", "longest", "spread"), [(24, 6, (6, 6, 6, 6)), (13, 6, (5, 4, 4)), (1, 6, (1,))]
)
def test_blocks_spread_evenly(depth, longest, spread):
    assert spread_blocks(depth, longest) == spread


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("limit", [60_000, 300_000])
def test_shrinking_uses_the_budget_and_keeps_the_design(name, limit):
    asked = []

    def fits(architecture):
        asked.append(architecture)
        return parameters(architecture) <= limit

    small, full = shrink(name, fits, "sr-x2"), preset(name)
    assert 0.7 * limit < parameters(small) <= limit
    assert len(asked) < 40
    assert small.width < full.width
    assert {type(b.mixer) for s in small.stages for b in s.blocks} == {
        type(b.mixer) for s in full.stages for b in s.blocks
    }
    assert (small.body, small.stem, small.tail) == (full.body, full.stem, full.tail)


def test_a_shrunk_network_cannot_grow():
    def fits(architecture):
        return parameters(architecture) <= 200_000

    small, found = shrink("swinir-light", fits), PRESETS["swinir-light"]
    depth = sum(len(stage.blocks) for stage in small.stages)
    assert not fits(found.design(small.width, depth + 1, 2))
    assert not fits(found.design(small.width + found.width_step, depth, 2))


def test_a_budget_that_holds_everything_gives_the_published_network():
    for name in PRESETS:
        assert shrink(name, lambda _: True, "sr-x4") == preset(name, "sr-x4")


def test_compacter_shrinks_within_its_own_same_size_design():
    full = preset("compacter", "denoise")
    assert shrink("compacter", lambda _: True, "denoise") == full
    small = shrink("compacter", lambda a: parameters(a) <= 100_000, "denoise")
    assert 70_000 < parameters(small) <= 100_000
    [block] = {block for stage in small.stages for block in stage.blocks}
    assert block.mixer.window_size == (12, 12)
    assert not block.feed_forward.bias


def test_gray_presets_have_one_channel_at_both_ends():
    for name in PRESETS:
        gray = preset(name, "denoise:25,gray")
        assert (gray.in_channels, gray.out_channels, gray.normalisation) == (1, 1, "none")
    assert preset("swinir-light", "sr-x3,gray").scale == 3


def test_a_budget_for_nothing_is_refused():
    with pytest.raises(ArchitectureError, match=r"smallest drt \(width 2, depth 1\) fits"):
        shrink("drt", lambda _: False)


def test_presets_share_no_hidden_state():
    assert preset("drt") is not preset("drt")
    assert preset("drt") == preset("drt")
    assert isinstance(preset("drt"), arch.Architecture)
