from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightir_core.data.datasets import WAYS, turn, turn_back
from lightir_core.errors import ShapeError
from lightir_core.learning.evaluate import (
    OVERLAP_PX,
    TILE_PX,
    has_fixed_tiles,
    restore,
    restore_turned,
)
from lightir_core.network import build
from lightir_core.published.presets import preset


@pytest.fixture(scope="module")
def network(request):
    """Convolutions alone: no output pixel sees more than 8 pixels far."""
    architecture = request.getfixturevalue("convolutions")
    torch.manual_seed(0)
    network = build(replace(architecture, width=4))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.2, 0.2)
    return network.eval()


def image_of(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))


@settings(max_examples=30)
@given(height=st.integers(1, 70), width=st.integers(1, 70), tile=st.integers(24, 40))
def test_tiles_join_to_the_untiled_result(network, height, width, tile):
    image = image_of(height, width)
    whole = restore(network, image, scale=2, tile_px=1000)
    tiled = restore(network, image, scale=2, tile_px=tile, overlap_px=8)
    assert tiled.shape == whole.shape == (1, 3, 2 * height, 2 * width)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_a_tile_is_never_larger_than_asked(network):
    sides = []
    handle = network.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-2:]))
    restore(network, image_of(100, 150), scale=2, tile_px=64)
    handle.remove()
    assert max(max(side) for side in sides) == 64
    assert len(sides) == 3 * 4  # rows of 48, 32, 20 new pixels; columns of 48, 32, 32, 38


def test_small_images_are_not_cut(network):
    calls = []
    handle = network.register_forward_pre_hook(lambda _, inputs: calls.append(1))
    restore(network, image_of(40, 40), scale=2, tile_px=40)
    handle.remove()
    assert calls == [1]


def test_the_result_is_an_image(network):
    with torch.no_grad():
        raw = network(image_of(16, 16) * 4 - 2)
    assert raw.min() < 0 < 1 < raw.max()
    restored = restore(network, image_of(16, 16) * 4 - 2, scale=2)
    torch.testing.assert_close(restored, raw.clamp(0, 1), atol=1e-5, rtol=0)
    assert restored.is_inference()


def test_batches_are_restored_image_by_image(network):
    images = torch.cat([image_of(50, 50), image_of(51, 50)[..., :50, :]])
    both = restore(network, images, scale=2, tile_px=40)
    for index in (0, 1):
        one = restore(network, images[index : index + 1], scale=2, tile_px=40)
        torch.testing.assert_close(both[index : index + 1], one, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("tile", "overlap"), [(32, 16), (10, 16), (2, 1), (0, 0), (-5, 0)])
def test_tiles_must_be_larger_than_their_overlaps(network, tile, overlap):
    with pytest.raises(ShapeError, match=f"tile_px={tile} .* overlap_px={overlap}"):
        restore(network, image_of(64, 64), scale=2, tile_px=tile, overlap_px=overlap)


def test_the_usual_tile_has_room():
    assert TILE_PX > 2 * OVERLAP_PX


def test_turned_forms_are_averaged_each_turned_back(network):
    image = image_of(30, 41)
    expected = torch.stack(
        [
            turn_back(restore(network, turn(image, way), scale=2, tile_px=24, overlap_px=8), way)
            for way in (0, 5)
        ]
    ).mean(dim=0)
    both = restore_turned(network, image, scale=2, ways=(0, 5))
    assert both.shape == (1, 3, 60, 82)
    torch.testing.assert_close(both, expected, atol=1e-5, rtol=0)
    one = restore_turned(network, image, scale=2, ways=(0,))
    assert torch.equal(one, restore(network, image, scale=2))


def test_a_self_ensemble_turns_with_its_image(network):
    image = image_of(24, 24)
    result = restore_turned(network, image, scale=2)
    for way in WAYS:
        turned = restore_turned(network, turn(image, way), scale=2)
        torch.testing.assert_close(turned, turn(result, way), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "fixed"), [("compacter", True), ("swinir-light", False), ("edsr-acla", False)]
)
def test_only_channel_attention_fixes_tiles(name, fixed):
    assert has_fixed_tiles(preset(name)) is fixed
