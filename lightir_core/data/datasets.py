"""Training patches and validation pairs of a task, held in memory as uint8.

A training batch is a function of (seed, step) alone: two candidates of a search see the same
patches, and a resumed training goes on where it stopped without any saved state.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightir_core.data import photographs
from lightir_core.data.degrade import mod_crop
from lightir_core.data.images import Gallery, read_gallery
from lightir_core.data.tasks import Task
from lightir_core.errors import DataError


@dataclass(frozen=True)
class Pair:
    """A degraded image and its truth: uint8 tensors (C, H, W) and (C, H s, W s)."""

    name: str
    lq: Tensor
    gt: Tensor


@dataclass(frozen=True)
class Source:
    """Images of a task: clean ones (`lq` None: degraded when they are used), or pairs.

    Tensors are uint8, (C, H, W); for super-resolution the clean sides are multiples of the scale.
    """

    names: tuple[str, ...]
    gt: tuple[Tensor, ...]
    lq: tuple[Tensor, ...] | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.names)


@dataclass(frozen=True)
class TrainingSet:
    """Random patches of `source`, degraded as `task` says."""

    task: Task
    source: Source

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the images were read."""
        return self.source.notes

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """The patches of one step; a function of its arguments alone.

        An image is drawn with a chance proportional to the patches it holds. Each patch is turned
        and mirrored in one of eight ways. A degradation that draws random numbers (noise, rain)
        is applied to the patch, after turning; rain then always falls downwards.

        Args:
            seed: of the training.
            step: from 0.
            batch: B, patches in the batch.
            patch_px: side p of the low-quality patch; the clean one has p * scale.

        Returns:
            lq (B, C, p, p) and gt (B, C, p s, p s), float32 in [0, 1].

        Raises:
            DataError: no image is as large as the patch.
        """
        rng = np.random.default_rng([seed, step])
        corners = self._draw_corners(rng, batch, patch_px)
        ways = rng.integers(8, size=batch)
        cut_px = patch_px * self.task.scale
        gt = torch.empty(batch, self.task.out_channels, cut_px, cut_px, dtype=torch.uint8)
        lq = torch.empty(batch, self.task.in_channels, patch_px, patch_px, dtype=torch.uint8)
        for row, ((image, top, left), way) in enumerate(zip(corners, ways, strict=True)):
            gt[row] = _turn(
                self._cut(self.source.gt[image], top, left, self.task.scale, patch_px), way
            )
            if self.source.lq is not None:
                lq[row] = _turn(self._cut(self.source.lq[image], top, left, 1, patch_px), way)
            else:
                lq[row] = _degrade(self.task, gt[row], rng)
        return lq.float().div_(255), gt.float().div_(255)

    @staticmethod
    def _cut(image: Tensor, top: int, left: int, scale: int, patch_px: int) -> Tensor:
        top, left, side = top * scale, left * scale, patch_px * scale
        return image[:, top : top + side, left : left + side]

    def _draw_corners(
        self, rng: np.random.Generator, batch: int, patch_px: int
    ) -> list[tuple[int, int, int]]:
        room = np.maximum(self._sides - patch_px + 1, 0)  # (images, 2) corner positions
        weights = room.prod(axis=1)
        if not weights.any():
            height, width = self._sides.max(axis=0)
            raise DataError(
                f"no training image holds a patch of {patch_px}x{patch_px} px "
                f"(low quality; the largest is {width}x{height}); use a smaller patch"
            )
        images = rng.choice(len(weights), size=batch, p=weights / weights.sum())
        tops, lefts = (rng.random((batch, 2)) * room[images]).astype(np.int64).T
        return list(zip(images.tolist(), tops.tolist(), lefts.tolist(), strict=True))

    @cached_property
    def _sides(self) -> np.ndarray:
        return np.array([gt.shape[-2:] for gt in self.source.gt]) // self.task.scale


def training_set(task: Task, source: Path | None) -> TrainingSet:
    """The images to train on: a folder's, or the embedded photographs when `source` is None.

    Raises:
        DataError: the folder cannot be used.
    """
    return TrainingSet(task, _read(task, source, photographs.training))


def validation_set(
    task: Task, source: Path | None, *, seed: int = 0, crop_px: int | None = None
) -> tuple[Pair, ...]:
    """The pairs to validate on, the same at every call with these arguments.

    Args:
        task: how clean images are degraded.
        source: a folder, or None for the embedded photographs.
        seed: of the degradations; each image's draws depend on its name, not on its neighbours.
        crop_px: side of a centred square of the low-quality image, for cheap validation in short
            searches; a smaller image is taken whole, as all are with None.

    Raises:
        DataError: the folder cannot be used.
    """
    images = _read(task, source, photographs.validation)
    return pairs(task, images, seed=seed, crop_px=crop_px)


def pairs(
    task: Task, source: Source, *, seed: int = 0, crop_px: int | None = None
) -> tuple[Pair, ...]:
    """Every image of `source` with its degraded form; arguments as `validation_set`."""
    made: list[Pair] = []
    for index, name in enumerate(source.names):
        gt = _centre(source.gt[index], crop_px, task.scale, task.scale)
        if source.lq is not None:
            lq = _centre(source.lq[index], crop_px, 1, task.scale)
        else:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            lq = _degrade(task, gt, rng)
        made.append(Pair(name, lq, gt))
    return tuple(made)


def _read(task: Task, source: Path | None, embedded: Callable[[], Gallery]) -> Source:
    gallery = embedded() if source is None else read_gallery(source)
    return from_clean(task, gallery)


def from_clean(task: Task, gallery: Gallery) -> Source:
    """A source of clean images; what is not random in `task` is applied here, once.

    Shrinking the whole image and cutting aligned patches keeps the patch borders right: they see
    their neighbours, as they do in a test image.
    """
    cut = [mod_crop(image.pixels, task.scale) for image in gallery.images]
    lq = None
    if not task.is_seeded:
        rng = np.random.default_rng(0)  # not drawn from
        lq = tuple(to_tensor(task.degrade(pixels, rng)) for pixels in cut)
    names = tuple(image.name for image in gallery.images)
    return Source(names, tuple(map(to_tensor, cut)), lq, gallery.notes)


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(H, W, C) uint8 as a contiguous (C, H, W) tensor of its own."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def to_pixels(image: Tensor) -> np.ndarray:
    """A (C, H, W) uint8 tensor as an (H, W, C) array."""
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))


def _degrade(task: Task, gt: Tensor, rng: np.random.Generator) -> Tensor:
    return to_tensor(task.degrade(to_pixels(gt), rng))


def _turn(patch: Tensor, way: int) -> Tensor:
    """One of the eight symmetries of the square, 0 <= way < 8."""
    if way & 4:
        patch = patch.transpose(1, 2)
    mirrored = [dim for dim, bit in ((1, 1), (2, 2)) if way & bit]
    return patch.flip(mirrored) if mirrored else patch


def _centre(image: Tensor, crop_px: int | None, factor: int, scale: int) -> Tensor:
    """The centred square of `crop_px` low-quality pixels, of an image `factor` times as large."""
    if crop_px is None:
        return image
    height, width = image.shape[-2] // factor, image.shape[-1] // factor
    rows, columns = min(crop_px, height), min(crop_px, width)
    # even corners keep the phase of a Bayer pattern
    top, left = ((height - rows) // 2) & ~1, ((width - columns) // 2) & ~1
    return image[
        :, top * factor : (top + rows) * factor, left * factor : (left + columns) * factor
    ].contiguous()
