"""The degradations of the field: bicubic shrinking, noise, JPEG. Arrays are (H, W, C) uint8.

`imresize` is MATLAB's, bit for bit on the official Set5 images: published super-resolution scores
rest on it, and other libraries' bicubics differ by up to ten grey levels at borders.

Bicubic kernel (Keys, IEEE ASSP 1981, a = -1/2), x the distance in samples:
    k(x) = 3/2 |x|³ - 5/2 |x|² + 1                 |x| <= 1
    k(x) = -1/2 |x|³ + 5/2 |x|² - 4 |x| + 2    1 < |x| <= 2
Shrinking by s widens it to s k(s x), so that it also filters out what the new grid cannot hold.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
import PIL.Image

from lightir_core.errors import DataError


def imresize(image: np.ndarray, scale: float) -> np.ndarray:
    """The image enlarged or shrunk by `scale` as MATLAB's ``imresize`` does it (bicubic).

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
    """The image cut at the bottom and right to sides that `scale` divides.

    Raises:
        DataError: a side is shorter than `scale`.
    """
    height, width = (side - side % scale for side in image.shape[:2])
    if not height or not width:
        raise DataError(f"an image of {image.shape[1]}x{image.shape[0]} is too small for x{scale}")
    return image[:height, :width]


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """The image with white Gaussian noise of standard deviation `sigma` (in 0..255).

    The result is rounded and clipped to 8 bits, as any file would be. Published tables often keep
    the noise unclipped in floating point, which is a slightly harder input at large sigma.
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return to_uint8(image + np.float32(sigma) * noise)


def compress_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """The image after JPEG compression at `quality` 1..95 (Pillow, 4:2:0 chroma)."""
    buffer = io.BytesIO()
    pixels = image[:, :, 0] if image.shape[2] == 1 else image
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with PIL.Image.open(buffer) as compressed:
        return np.array(compressed).reshape(image.shape)


def to_uint8(values: np.ndarray) -> np.ndarray:
    """`values` (0..255) rounded half up, as MATLAB does, and clipped to uint8."""
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def _resize_rows(image: np.ndarray, scale: float) -> np.ndarray:
    indices, weights = _taps(image.shape[0], scale)
    rows = np.ascontiguousarray(image).astype(np.float64)
    total = np.zeros((indices.shape[0], *rows.shape[1:]))
    for tap in range(indices.shape[1]):
        total += weights[:, tap, None, None] * rows[indices[:, tap]]
    return to_uint8(total)


@lru_cache(maxsize=64)
def _taps(length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Source indices and weights, (new length, taps) each."""
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
