import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightir_core.data.degrade import RAIN, SNOW, Rain, add_rain, add_snow, rain_mask, snow_mask
from lightir_core.data.images import to_tensor
from lightir_core.data.metrics import psnr_y

WEATHER = {"rain": add_rain, "snow": add_snow}


@pytest.mark.parametrize("name", WEATHER)
def test_weather_follows_its_seed(name, held_out):
    image = held_out.images[0].pixels
    first, again, other = (WEATHER[name](image, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", WEATHER)
@settings(max_examples=25)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 999))
def test_weather_brightens_a_dark_image_of_any_size(name, height, width, seed):
    dark = np.full((height, width, 3), 40, np.uint8)
    image = WEATHER[name](dark, np.random.default_rng(seed))
    assert image.shape == dark.shape
    assert image.dtype == np.uint8
    assert (image >= 40).all()


@pytest.mark.parametrize("name", WEATHER)
def test_weather_is_as_strong_as_in_the_benchmarks(name, held_out):
    # rainy inputs: Rain100L val 24.5 dB, Rain1400 12.6 .. 30.6 dB (PSNR-Y and -RGB)
    scores = []
    for image in held_out.images:
        for seed in range(6):
            seen = WEATHER[name](image.pixels, np.random.default_rng(seed))
            scores.append(psnr_y(to_tensor(seen)[None], to_tensor(image.pixels)[None]))
    assert 20 < np.median(scores) < 29
    assert min(scores) > 14


def test_rain_streaks_run_along_their_tilt():
    upright = Rain(tilt_degrees=(0, 0), length_px=(30, 30))
    alpha = rain_mask((200, 200), np.random.default_rng(0), upright)
    down = np.abs(np.diff(alpha, axis=0)).mean()
    across = np.abs(np.diff(alpha, axis=1)).mean()
    assert across > 4 * down


def test_no_border_is_spared():
    alpha = sum(rain_mask((60, 60), np.random.default_rng(s), RAIN) for s in range(300))
    inner = alpha[20:40, 20:40].mean()
    for border in (alpha[:4], alpha[-4:], alpha[:, :4], alpha[:, -4:]):
        assert border.mean() == pytest.approx(inner, rel=0.15)


def test_a_flake_is_a_soft_disc_of_its_radius():
    near = SNOW.layers[-1]
    opacity = snow_mask((400, 400), np.random.default_rng(0), near, tilt=0.0, smear=1.0)
    # mean coverage is about density * pi r² * opacity: 20..150 per megapixel, r 4..9, 0.3..0.7
    assert 20e-6 * np.pi * 4**2 * 0.3 < opacity.mean() < 150e-6 * np.pi * 9**2 * 0.7
    assert opacity.max() <= 1
