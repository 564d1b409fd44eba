from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from lightir_core import architecture as arch
from lightir_core.network import build, enlarge, pad

BLOCK = arch.BlockConfig(
    mixer=arch.WindowAttentionConfig(num_heads=2, window_size=(4, 8), shift_size=(2, 4)),
    feed_forward=arch.MlpConfig(hidden_dim=6),
)
STAGE = arch.StageConfig(blocks=(BLOCK,))
PLAIN = arch.Architecture(width=8, stages=(STAGE, STAGE), scale=2)


def network_of(randomise, **changes):
    torch.manual_seed(0)
    return randomise(build(replace(PLAIN, **changes))).eval()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (8, 8), (13, 33)])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_any_size_works(randomise, size, scale):
    network = network_of(randomise, scale=scale)
    with torch.no_grad():
        y = network(torch.rand(2, 3, *size))
    assert y.shape == (2, 3, size[0] * scale, size[1] * scale)
    assert y.isfinite().all()


def test_padding_is_reflection_and_goes_on_when_the_image_is_small():
    x = torch.rand(2, 3, 7, 5)
    assert torch.equal(pad(x, 8), F.pad(x, (0, 3, 0, 1), mode="reflect"))
    row = torch.arange(3.0).view(1, 1, 1, 3)
    assert pad(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert pad(row, 8).shape == (1, 1, 8, 8)
    assert pad(x, 1) is x


def test_a_size_that_needs_no_padding_is_left_alone():
    x = torch.rand(1, 3, 8, 16)
    assert torch.equal(pad(x, 8), x)


@pytest.mark.parametrize("upsampler", ["direct", "staged"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("normalisation", ["none", "div2k", "imagenet"])
def test_an_untrained_interpolating_network_is_the_interpolation(upsampler, scale, normalisation):
    tail = arch.TailConfig(upsampler=upsampler, skip="interpolated")
    network = build(replace(PLAIN, tail=tail, scale=scale, normalisation=normalisation))
    x = torch.rand(1, 3, 8, 16)
    expected = F.interpolate(x, scale_factor=scale, mode="bicubic", antialias=True)
    with torch.no_grad():
        assert torch.allclose(network(x), expected, atol=1e-5)


def test_enlarging_is_matlabs_bicubic():
    # cubic kernel with a = −0.5 at distances 0.25 and 0.75, 1.25, 1.75: what a unit step leaves
    step = torch.zeros(1, 1, 1, 12)
    step[..., 6:] = 1
    row = enlarge(step.expand(1, 1, 12, 12), 2)[0, 0, 8]

    def kernel(x):
        x = abs(x)
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return near if x <= 1 else far if x < 2 else 0.0

    for column in range(8, 16):
        centre = (column + 0.5) / 2 - 0.5
        expected = sum(kernel(centre - pixel) for pixel in range(6, 12))
        assert abs(row[column].item() - expected) < 1e-6
    x = torch.rand(1, 3, 4, 4)
    assert enlarge(x, 1) is x


def test_normalisation_shows_the_trunk_centred_images_only(randomise):
    plain, centred = network_of(randomise), network_of(randomise, normalisation="div2k")
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(centred(x), plain(x - mean) + mean, atol=1e-5)


def test_imagenet_normalisation_divides_by_the_deviation(randomise):
    plain, scaled = network_of(randomise), network_of(randomise, normalisation="imagenet")
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(scaled(x), plain((x - mean) / std) * std + mean, atol=1e-5)


def test_constants_are_no_part_of_the_state(randomise):
    assert not {"mean", "std"} & set(build(PLAIN).state_dict())


def test_stem_norm_is_not_on_the_global_skip(randomise):
    network = network_of(randomise, stem=arch.StemConfig(norm=True))
    features, trunk = network.stem(torch.rand(1, 3, 8, 8))
    assert not torch.allclose(features, trunk)
    unnormed = network_of(randomise)
    features, trunk = unnormed.stem(torch.rand(1, 3, 8, 8))
    assert features is trunk
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_body_switches(randomise):
    x, features = torch.randn(2, 1, 8, 4, 4).unbind()
    body = arch.BodyConfig(norm=False, closing="none", skip=False)
    assert torch.equal(network_of(randomise, body=body).body(x, features), x)
    body = arch.BodyConfig(norm=False, closing="none", skip=True)
    assert torch.equal(network_of(randomise, body=body).body(x, features), x + features)


@pytest.mark.parametrize("patch", [2, 4])
def test_patches_shrink_the_trunk_and_come_back(randomise, patch):
    network = network_of(randomise, stem=arch.StemConfig(kernel_size=patch, patch_size=patch))
    assert network.architecture.window_multiple == 8 * patch
    sizes = []
    network.stages[0].register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape[2:]))
    with torch.no_grad():
        assert network(torch.rand(1, 3, 9, 5)).shape == (1, 3, 18, 10)
    assert sizes == [(16 // patch if patch == 2 else 8, 8)]


def test_stages_share_weights_in_groups():
    shared = build(replace(PLAIN, stages=(STAGE,) * 5, stage_sharing=2))
    assert len(shared.stages) == 3
    separate = build(replace(PLAIN, stages=(STAGE,) * 3))
    assert shared.state_dict().keys() == separate.state_dict().keys()


def test_cross_layer_slots_read_outputs_before_attention(randomise):
    first = replace(STAGE, cross_layer=arch.CrossLayerConfig(keys=2, references=1))
    second = replace(STAGE, cross_layer=arch.CrossLayerConfig(keys=2, references=2))
    network = network_of(randomise, stages=(first, second))
    seen, outputs = {}, []
    for number, module in network.cross_layers.items():
        module.register_forward_pre_hook(lambda _, args, number=number: seen.update({number: args}))
    network.stem.register_forward_hook(lambda *args: outputs.append(args[-1][1]))
    for stage in network.stages:
        stage.register_forward_hook(lambda *args: outputs.append(args[-1]))
    with torch.no_grad():
        network(torch.rand(1, 3, 8, 8))
    stem, one, two = outputs
    assert [x is y for x, y in zip(seen["0"][1], [stem], strict=True)] == [True]
    assert [x is y for x, y in zip(seen["1"][1], [stem, one], strict=True)] == [True, True]
    assert seen["0"][0] is one
    assert seen["1"][0] is two


def test_shared_stages_keep_their_own_cross_layers():
    slot = arch.CrossLayerConfig(keys=2, references=1)
    stages = (STAGE, replace(STAGE, cross_layer=slot))
    network = build(replace(PLAIN, stages=stages, stage_sharing=2))
    assert len(network.stages) == 1
    assert list(network.cross_layers) == ["1"]


@pytest.mark.parametrize(("scale", "shuffles"), [(1, 0), (2, 1), (3, 1), (4, 2), (8, 3)])
def test_staged_upsampler_has_a_stage_per_factor(scale, shuffles):
    tail = build(replace(PLAIN, tail=arch.TailConfig(upsampler="staged"), scale=scale)).tail
    assert len(tail.upsampler) == 2 * shuffles
    assert tail.last.out_channels == 3


def test_channels_are_free(randomise):
    network = network_of(randomise, in_channels=4, out_channels=1)
    assert network(torch.rand(1, 4, 5, 6)).shape == (1, 1, 10, 12)


def test_equal_seeds_build_equal_networks():
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(build(PLAIN).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_meta_networks_count_and_shape():
    with torch.device("meta"):
        network = build(PLAIN)
        assert network(torch.empty(1, 3, 360, 640)).shape == (1, 3, 720, 1280)
    real = sum(p.numel() for p in build(PLAIN).parameters())
    assert sum(p.numel() for p in network.parameters()) == real


@pytest.mark.slow
def test_export_keeps_sizes_dynamic(randomise):
    network = network_of(randomise)
    dynamic = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(network, (torch.rand(1, 3, 20, 36),), dynamic_shapes=(dynamic,))
    for size in [(9, 17), (40, 25)]:
        x = torch.rand(1, 3, *size)
        with torch.no_grad():
            assert torch.allclose(exported.module()(x), network(x), atol=1e-5)
