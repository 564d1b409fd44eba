"""Synthetic rain and snow: simple physical models, drawn anew for every image from its generator.

Rain (Garg and Nayar, "Vision and Rain", IJCV 2007): a drop that crosses a pixel for a time tau of
the exposure T mixes its own brightness E into the background B,
    O = (1 - alpha) B + alpha E,    alpha = tau / T,
so a falling drop leaves a bright streak along its path. Streaks of one image share the wind's
direction; their length, opacity and place vary.

Snow (Liu et al., DesnowNet, IEEE TIP 2018): O = (1 - z) B + z A with flakes of opacity z and
colour A near white; near flakes are large and blurred, far ones small and many, all smeared a
little along the wind.

Both are approximations to train on when no pairs are at hand: no depth, no haze, no drops on the
lens. Images are (H, W, 3) uint8; `RAIN` and `SNOW` hold every range that is drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightir_core.data.degrade import to_uint8

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Rain:
    """Ranges; one value of each is drawn per image, streaks then vary around it."""

    streaks_per_megapixel: Range = (1_000, 6_000)
    length_px: Range = (12, 50)
    tilt_degrees: Range = (-25, 25)
    """From the vertical; streaks of one image differ by 2 degrees or so."""
    width_px: Range = (0.5, 1.1)
    """Standard deviation of a streak's cross-section."""
    opacity: Range = (0.25, 0.7)
    """The largest alpha of a streak."""
    brightness: Range = (200, 250)
    """E: a drop gathers light from a wide angle, so it is brighter than most backgrounds."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Flakes at one distance: `blur_px` is the width of a flake's soft edge."""

    flakes_per_megapixel: Range
    radius_px: Range
    blur_px: float
    opacity: Range


@dataclass(frozen=True, kw_only=True)
class Snow:
    """Ranges; near flakes come last and lie in front."""

    layers: tuple[Layer, ...] = (
        Layer(
            flakes_per_megapixel=(2_000, 8_000),
            radius_px=(0.6, 1.6),
            blur_px=0.6,
            opacity=(0.4, 0.9),
        ),
        Layer(
            flakes_per_megapixel=(300, 1_500), radius_px=(1.5, 3.5), blur_px=1.0, opacity=(0.4, 0.9)
        ),
        Layer(
            flakes_per_megapixel=(20, 150), radius_px=(4.0, 9.0), blur_px=3.0, opacity=(0.3, 0.7)
        ),
    )
    smear: Range = (1.0, 1.8)
    """How many times longer a flake is along its path than across it."""
    tilt_degrees: Range = (-40, 40)
    brightness: Range = (225, 255)


RAIN = Rain()
SNOW = Snow()


def add_rain(image: np.ndarray, rng: np.random.Generator, rain: Rain = RAIN) -> np.ndarray:
    """The image seen through falling rain."""
    alpha = rain_mask(image.shape[:2], rng, rain)
    return _mix(image, alpha, rng.uniform(*rain.brightness))


def add_snow(image: np.ndarray, rng: np.random.Generator, snow: Snow = SNOW) -> np.ndarray:
    """The image seen through falling snow."""
    tilt = np.deg2rad(rng.uniform(*snow.tilt_degrees))
    smear = rng.uniform(*snow.smear)
    for layer in snow.layers:
        opacity = snow_mask(image.shape[:2], rng, layer, tilt, smear)
        image = _mix(image, opacity, rng.uniform(*snow.brightness))
    return image


def rain_mask(shape: tuple[int, ...], rng: np.random.Generator, rain: Rain) -> np.ndarray:
    """Alpha in [0, 1] of every pixel, (H, W)."""
    length = rng.uniform(*rain.length_px)
    margin = round(0.75 * length) + 2  # half the longest: streaks from outside reach in
    place = _scatter(shape, margin, rng.uniform(*rain.streaks_per_megapixel), rng)
    count = place.shape[1]
    lengths = length * rng.uniform(0.5, 1.5, count)
    tilts = np.deg2rad(rng.uniform(*rain.tilt_degrees) + rng.normal(0, 2, count))
    width = rng.uniform(*rain.width_px)
    opacity = rng.uniform(*rain.opacity) * rng.uniform(0.4, 1.0, count)
    # a streak is sampled every pixel or so along its path, and five times across it
    along = np.linspace(-0.5, 0.5, round(1.5 * length) + 1)[:, None]
    across = np.arange(-2, 3)[:, None, None]
    rows = place[0] + np.cos(tilts) * lengths * along - np.sin(tilts) * across * width
    columns = place[1] + np.sin(tilts) * lengths * along + np.cos(tilts) * across * width
    fade = 1 - np.abs(2 * along) ** 4  # a drop enters and leaves the exposure softly
    area = lengths / (len(along) - 1) * width  # px² that a sample stands for
    return _splat(shape, rows, columns, opacity * fade * area * np.exp(-0.5 * across**2))


def snow_mask(
    shape: tuple[int, ...], rng: np.random.Generator, layer: Layer, tilt: float, smear: float
) -> np.ndarray:
    """Opacity in [0, 1] of every pixel, (H, W): soft ellipses along the direction of fall."""
    reach = round(layer.radius_px[1] * smear + 2 * layer.blur_px + 1)
    place = _scatter(shape, reach, rng.uniform(*layer.flakes_per_megapixel), rng)
    count = place.shape[1]
    radius = rng.uniform(*layer.radius_px, count)
    opacity = rng.uniform(*layer.opacity, count)
    grid = np.arange(-reach, reach + 1)
    # pixel centres around each flake, (2 reach + 1, 2 reach + 1, flakes)
    rows = np.floor(place[0]) + grid[:, None, None]
    columns = np.floor(place[1]) + grid[None, :, None]
    down, right = rows - place[0], columns - place[1]
    along = (np.cos(tilt) * down + np.sin(tilt) * right) / smear
    across = np.cos(tilt) * right - np.sin(tilt) * down
    distance = np.hypot(along, across)
    weights = opacity * np.clip((radius - distance) / layer.blur_px + 0.5, 0, 1)
    rows, columns = np.broadcast_arrays(rows, columns)
    return _splat(shape, rows, columns, weights)


def _scatter(
    shape: tuple[int, ...], margin: int, per_megapixel: float, rng: np.random.Generator
) -> np.ndarray:
    """Rows and columns, (2, n), evenly over the image and `margin` around it."""
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    count = rng.poisson(per_megapixel * height * width / 1e6)
    return rng.random((2, count)) * np.array([[height], [width]]) - margin


def _splat(
    shape: tuple[int, ...], rows: np.ndarray, columns: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Sum of the weights that fall on each pixel, shared between its four nearest, at most 1."""
    height, width = shape
    near = (rows > -1) & (rows < height) & (columns > -1) & (columns < width)
    rows, columns, weights = rows[near], columns[near], weights[near]
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = rows - top, columns - left
    total = np.zeros((height + 2) * (width + 2))  # a frame of one pixel takes what falls beside
    corner = (top + 1) * (width + 2) + left + 1
    for step, share in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (width + 2, down * (1 - right)),
        (width + 3, down * right),
    ):
        total += np.bincount(corner + step, weights * share, len(total))
    return np.minimum(total.reshape(height + 2, width + 2)[1:-1, 1:-1], 1)


def _mix(image: np.ndarray, alpha: np.ndarray, brightness: float) -> np.ndarray:
    opacity = alpha[:, :, None]
    return to_uint8((1 - opacity) * image + opacity * brightness)
