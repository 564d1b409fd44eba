import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightir_core.data.degrade import add_noise, compress_jpeg, imresize, mod_crop, to_uint8
from lightir_core.data.images import read_image
from lightir_core.errors import DataError

SET5 = ("baby", "bird", "butterfly", "head", "woman")


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", SET5)
def test_shrinking_reproduces_the_official_set5_bit_for_bit(shared, name, scale):
    set5 = shared / "sr" / "Set5"
    [official] = (set5 / "LR_bicubic" / f"X{scale}").glob(f"{name}*")
    ours = imresize(mod_crop(read_image(set5 / "HR" / f"{name}.png"), scale), 1 / scale)
    assert np.count_nonzero(ours != read_image(official)) == 0


def test_shrinking_by_two_weighs_eight_pixels_as_keys_kernel_does():
    # k(x/2)/2 at |x| = 1/2, 3/2, 5/2, 7/2 (Keys 1981, a = -1/2) is 111, 29, -9, -3 over 256
    image = np.full((16, 16, 1), 100, np.uint8)
    image[:, 8] += 64
    shrunk = imresize(image, 1 / 2)[4, :, 0].astype(int) - 100
    expected = [0, 0, -3, 29, 111, -9, 0, 0]  # output i reads inputs 2i - 3 .. 2i + 4
    assert shrunk.tolist() == [math.floor(64 * weight / 256 + 0.5) for weight in expected]


@pytest.mark.parametrize("scale", [2, 3, 4, 1 / 2, 1 / 3, 1 / 4])
def test_an_even_image_stays_even(scale):
    image = np.full((24, 36, 3), 77, np.uint8)
    resized = imresize(image, scale)
    assert resized.shape == (24 * scale, 36 * scale, 3)
    assert (resized == 77).all()


@given(side=st.integers(1, 400), factor=st.integers(2, 4))
def test_sides_are_rounded_up_and_multiples_divide_exactly(side, factor):
    image = np.zeros((side * factor, 1, 1), np.uint8)
    assert imresize(image, 1 / factor).shape[0] == side
    assert imresize(image[: side * factor - 1], 1 / factor).shape[0] == side


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([2, 3, 1 / 2, 1 / 3]))
def test_resizing_commutes_with_mirroring(seed, scale):
    image = np.random.default_rng(seed).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    mirrored = imresize(image[:, ::-1], scale)[:, ::-1]
    difference = np.abs(imresize(image, scale).astype(int) - mirrored)
    assert difference.max() <= 1  # sums taken in another order may round the other way


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(DataError, match="positive scale"):
        imresize(np.zeros((4, 4, 3), np.uint8), scale)


def test_resizing_refuses_anything_but_8_bits():
    with pytest.raises(DataError, match="float64"):
        imresize(np.zeros((4, 4, 3)), 2)


def test_mod_crop_cuts_bottom_and_right():
    image = np.arange(7 * 8, dtype=np.uint8).reshape(7, 8, 1)
    assert np.array_equal(mod_crop(image, 3), image[:6, :6])
    with pytest.raises(DataError, match="too small for x9"):
        mod_crop(image, 9)


def test_noise_has_the_asked_deviation_and_follows_its_seed():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = add_noise(grey, 25, np.random.default_rng(1))
    # 120,000 samples: the deviation's standard error is 25 / sqrt(240,000) = 0.05
    assert (noisy.astype(float) - 128).std() == pytest.approx(25, abs=0.2)
    assert np.array_equal(noisy, add_noise(grey, 25, np.random.default_rng(1)))


def test_jpeg_hurts_more_at_lower_quality(held_out):
    image = held_out.images[0].pixels

    def error(quality: int) -> float:
        return float(np.square(compress_jpeg(image, quality).astype(float) - image).mean())

    assert error(10) > error(40) > error(90) > 0


def test_rounding_is_matlabs_half_up():
    assert to_uint8(np.array([0.5, 1.5, 2.49, -3, 300])).tolist() == [1, 2, 2, 0, 255]
