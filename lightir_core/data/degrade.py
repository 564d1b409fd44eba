"""The degradations of the field: bicubic shrinking, noise, JPEG, mosaics, rain and snow.

Images are (H, W, C) uint8.

`imresize` is MATLAB's, bit for bit on the official Set5 images: published super-resolution scores
rest on it, and other libraries' bicubics differ by up to ten grey levels at borders.

Bicubic kernel (Keys, IEEE ASSP 1981, a = -1/2), x the distance in samples:
    k(x) = 3/2 |x|³ - 5/2 |x|² + 1                 |x| <= 1
    k(x) = -1/2 |x|³ + 5/2 |x|² - 4 |x| + 2    1 < |x| <= 2
Shrinking by s widens it to s k(s x), so that it also filters out what the new grid cannot hold.

A mosaic of an RGGB Bayer pattern is kept as three channels with zeros where the sensor has no such
filter: a network then needs no other input than for the rest of the tasks. Red lies top left:
    R G R G
    G B G B

Rain (Garg and Nayar, "Vision and Rain", IJCV 2007): a drop that crosses a pixel for a time tau of
the exposure T mixes its own brightness E into the background B,
    O = (1 - alpha) B + alpha E,    alpha = tau / T,
so a falling drop leaves a bright streak along its path. Streaks of one image share the wind's
direction; their length, opacity and place vary.

Snow (Liu et al., DesnowNet, IEEE TIP 2018): O = (1 - z) B + z A with flakes of opacity z and
colour A near white; near flakes are large and blurred, far ones small and many, all smeared a
little along the wind.

Both are approximations to train on when no pairs are at hand: no depth, no haze, no drops on the
lens. `RAIN` and `SNOW` hold every range that is drawn from.
"""

import io
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import PIL.Image

from lightir_core.errors import DataError

# (row, column) offsets of each channel's samples in the 2 x 2 cell
_PATTERN = (((0, 0),), ((0, 1), (1, 0)), ((1, 1),))

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


def imresize(image: np.ndarray, scale: float) -> np.ndarray:
    """Enlarge or shrink the image by `scale` as MATLAB's ``imresize`` does it (bicubic).

    Height is resized first and rounded to uint8, then width: MATLAB rounds between the passes.

    Args:
        image: (H, W, C) uint8.
        scale: 2 doubles the sides, 1 / 2 halves them; sides are rounded up.

    Raises:
        DataError: the array is no 8-bit image, or the scale is not positive.
    """
    if image.dtype != np.uint8 or image.ndim != 3:
        raise DataError(f"imresize takes (H, W, C) uint8; got {image.shape} {image.dtype}")
    if not 0 < scale < math.inf:
        raise DataError(f"imresize takes a positive scale such as 2 or 1 / 2; got {scale}")
    tall = _resize_rows(image, scale)
    return np.ascontiguousarray(_resize_rows(tall.swapaxes(0, 1), scale).swapaxes(0, 1))


def mod_crop(image: np.ndarray, scale: int) -> np.ndarray:
    """Cut the image at the bottom and right to sides that `scale` divides.

    Raises:
        DataError: a side is shorter than `scale`.
    """
    height, width = (side - side % scale for side in image.shape[:2])
    if not height or not width:
        raise DataError(f"an image of {image.shape[1]}x{image.shape[0]} is too small for x{scale}")
    return image[:height, :width]


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add white Gaussian noise of standard deviation `sigma` (in 0..255).

    The result is rounded and clipped to 8 bits, as any file would be. Published tables often keep
    the noise unclipped in floating point, which is a slightly harder input at large sigma.
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return to_uint8(image + np.float32(sigma) * noise)


def compress_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Compress the image by JPEG at `quality` 1..95 (Pillow, 4:2:0 chroma)."""
    buffer = io.BytesIO()
    pixels = image[:, :, 0] if image.shape[2] == 1 else image
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with PIL.Image.open(buffer) as compressed:
        return np.array(compressed).reshape(image.shape)


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Round `values` (0..255) half up, as MATLAB does, and clip them to uint8."""
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def mosaic(image: np.ndarray) -> np.ndarray:
    """Keep what a sensor behind an RGGB filter sees: one sample a pixel, zeros elsewhere."""
    seen = np.zeros_like(image)
    for channel, offsets in enumerate(_PATTERN):
        for row, column in offsets:
            seen[row::2, column::2, channel] = image[row::2, column::2, channel]
    return seen


def demosaic_bilinear(mosaicked: np.ndarray) -> np.ndarray:
    """Fill each missing sample with the mean of its nearest two or four of that colour.

    Given samples stay as they are. At the border the image is reflected, which keeps the pattern.
    """
    height, width = mosaicked.shape[:2]
    if min(height, width) < 2:  # no neighbour to reflect, and a colour may not occur at all
        return mosaicked.copy()
    values = np.pad(mosaicked.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    total = np.zeros((height, width, 3))
    for row, row_weight in enumerate((1, 2, 1)):
        for column, column_weight in enumerate((1, 2, 1)):
            shifted = values[row : row + height, column : column + width]
            total += row_weight * column_weight * shifted
    # red and blue: weights 1 2 1 / 2 4 2 / 1 2 1 over 4 reach exactly the 1, 2 or 4 nearest
    demosaicked = total / 4
    demosaicked[:, :, 1] = _green(values[:, :, 1], height, width)
    return to_uint8(demosaicked)


def _green(values: np.ndarray, height: int, width: int) -> np.ndarray:
    centre = values[1:-1, 1:-1]
    above, below = values[:height, 1:-1], values[2:, 1:-1]
    left, right = values[1:-1, :width], values[1:-1, 2:]
    has_green = np.add.outer(np.arange(height), np.arange(width)) % 2 == 1
    return np.where(has_green, centre, (above + below + left + right) / 4)


def add_rain(image: np.ndarray, rng: np.random.Generator, rain: Rain = RAIN) -> np.ndarray:
    """Draw falling rain over the image."""
    alpha = rain_mask(image.shape[:2], rng, rain)
    return _mix(image, alpha, rng.uniform(*rain.brightness))


def add_snow(image: np.ndarray, rng: np.random.Generator, snow: Snow = SNOW) -> np.ndarray:
    """Draw falling snow over the image."""
    tilt = np.deg2rad(rng.uniform(*snow.tilt_degrees))
    smear = rng.uniform(*snow.smear)
    for layer in snow.layers:
        opacity = snow_mask(image.shape[:2], rng, layer, tilt, smear)
        image = _mix(image, opacity, rng.uniform(*snow.brightness))
    return image


def rain_mask(shape: tuple[int, ...], rng: np.random.Generator, rain: Rain) -> np.ndarray:
    """Draw alpha in [0, 1] of every pixel, (H, W)."""
    length = rng.uniform(*rain.length_px)
    margin = round(0.75 * length) + 2  # half the longest: streaks from outside reach in
    at = _scatter(shape, margin, rng.uniform(*rain.streaks_per_megapixel), rng)
    count = at.shape[1]
    lengths = length * rng.uniform(0.5, 1.5, count)
    tilts = np.deg2rad(rng.uniform(*rain.tilt_degrees) + rng.normal(0, 2, count))
    width = rng.uniform(*rain.width_px)
    opacity = rng.uniform(*rain.opacity) * rng.uniform(0.4, 1.0, count)
    # a streak is sampled every pixel or so along its path, and five times across it
    along = np.linspace(-0.5, 0.5, round(1.5 * length) + 1)[:, None]
    across = np.arange(-2, 3)[:, None, None]
    rows = at[0] + np.cos(tilts) * lengths * along - np.sin(tilts) * across * width
    columns = at[1] + np.sin(tilts) * lengths * along + np.cos(tilts) * across * width
    fade = 1 - np.abs(2 * along) ** 4  # a drop enters and leaves the exposure softly
    area = lengths / (len(along) - 1) * width  # px² that a sample stands for
    return _splat(shape, rows, columns, opacity * fade * area * np.exp(-0.5 * across**2))


def snow_mask(
    shape: tuple[int, ...], rng: np.random.Generator, layer: Layer, tilt: float, smear: float
) -> np.ndarray:
    """Draw opacity in [0, 1] of every pixel, (H, W): soft ellipses along the direction of fall."""
    reach = round(layer.radius_px[1] * smear + 2 * layer.blur_px + 1)
    at = _scatter(shape, reach, rng.uniform(*layer.flakes_per_megapixel), rng)
    count = at.shape[1]
    radius = rng.uniform(*layer.radius_px, count)
    opacity = rng.uniform(*layer.opacity, count)
    grid = np.arange(-reach, reach + 1)
    # pixel centres around each flake, (2 reach + 1, 2 reach + 1, flakes)
    rows = np.floor(at[0]) + grid[:, None, None]
    columns = np.floor(at[1]) + grid[None, :, None]
    down, right = rows - at[0], columns - at[1]
    along = (np.cos(tilt) * down + np.sin(tilt) * right) / smear
    across = np.cos(tilt) * right - np.sin(tilt) * down
    distance = np.hypot(along, across)
    weights = opacity * np.clip((radius - distance) / layer.blur_px + 0.5, 0, 1)
    rows, columns = np.broadcast_arrays(rows, columns)
    return _splat(shape, rows, columns, weights)


def _scatter(
    shape: tuple[int, ...], margin: int, per_megapixel: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw rows and columns, (2, n), evenly over the image and `margin` around it."""
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    count = rng.poisson(per_megapixel * height * width / 1e6)
    return rng.random((2, count)) * np.array([[height], [width]]) - margin


def _splat(
    shape: tuple[int, ...], rows: np.ndarray, columns: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Sum the weights that fall on each pixel, shared between its four nearest, at most 1."""
    height, width = shape
    near = (rows > -1) & (rows < height) & (columns > -1) & (columns < width)
    rows, columns, weights = rows[near], columns[near], weights[near]
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = rows - top, columns - left
    total = np.zeros((height + 2) * (width + 2))  # a border of one pixel takes what falls beside
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


def _resize_rows(image: np.ndarray, scale: float) -> np.ndarray:
    indices, weights = _taps(image.shape[0], scale)
    rows = np.ascontiguousarray(image).astype(np.float64)
    total = np.zeros((indices.shape[0], *rows.shape[1:]))
    for tap in range(indices.shape[1]):
        total += weights[:, tap, None, None] * rows[indices[:, tap]]
    return to_uint8(total)


@lru_cache(maxsize=64)
def _taps(length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return source indices and weights, (new length, taps) each."""
    stretch = min(scale, 1.0)
    width = 4 / stretch
    new_length = math.ceil(length * scale - 1e-9)  # 3 * (1 / 3) must not become 2 samples
    # MATLAB's own coordinates, 1-based: the centres of old and new pixels coincide.
    centre = np.arange(1, new_length + 1) / scale + 0.5 * (1 - 1 / scale)
    first = np.floor(centre - width / 2)
    positions = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = stretch * _keys(stretch * (centre[:, None] - positions))
    weights /= weights.sum(axis=1, keepdims=True)
    used = (weights != 0).any(axis=0)
    # symmetric border: 1 2 3 -> ... 2 1 | 1 2 3 | 3 2 ...
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    indices = mirror[(positions.astype(np.int64) - 1) % (2 * length)]
    return indices[:, used], weights[:, used]


def _keys(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x <= 2, outer, 0.0))
