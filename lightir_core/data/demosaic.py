"""The RGGB Bayer mosaic of a camera sensor, and bilinear demosaicking as the baseline.

A mosaic is kept as three channels, (H, W, 3) uint8, with zeros where the sensor has no such
filter: a network then needs no other input than for the rest of the tasks. The pattern starts with
red in the top left corner:

    R G R G
    G B G B
"""

from __future__ import annotations

import numpy as np

from lightir_core.data.degrade import to_uint8

# (row, column) offsets of each channel's samples in the 2 x 2 cell
_PATTERN = (((0, 0),), ((0, 1), (1, 0)), ((1, 1),))


def mosaic(image: np.ndarray) -> np.ndarray:
    """What a sensor behind an RGGB filter sees: one sample a pixel, zeros elsewhere."""
    seen = np.zeros_like(image)
    for channel, offsets in enumerate(_PATTERN):
        for row, column in offsets:
            seen[row::2, column::2, channel] = image[row::2, column::2, channel]
    return seen


def demosaic_bilinear(mosaicked: np.ndarray) -> np.ndarray:
    """Each missing sample as the mean of its nearest two or four of that colour.

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
