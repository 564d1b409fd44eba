"""The eight symmetries of the square, numbered 0 to 7; 0 leaves an image as it is."""

from __future__ import annotations

from torch import Tensor

WAYS = range(8)


def turn(image: Tensor, way: int) -> Tensor:
    """The image (..., H, W) turned or mirrored in one of eight ways; sides may swap."""
    if way & 4:
        image = image.transpose(-2, -1)
    return _mirror(image, way)


def turn_back(image: Tensor, way: int) -> Tensor:
    """Undo `turn` with the same way."""
    image = _mirror(image, way)
    return image.transpose(-2, -1) if way & 4 else image


def _mirror(image: Tensor, way: int) -> Tensor:
    mirrored = [dim for bit, dim in ((1, -2), (2, -1)) if way & bit]
    return image.flip(mirrored) if mirrored else image
