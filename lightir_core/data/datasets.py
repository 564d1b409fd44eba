"""Training patches and validation pairs of a task, held in memory as uint8.

A training batch is a function of (seed, step) alone: two candidates of a search see the same
patches, and a resumed training goes on where it stopped without any saved state.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightir_core.data import photographs
from lightir_core.data.images import shorten, to_pixels, to_tensor
from lightir_core.data.pack import is_pack, read_pack
from lightir_core.data.sources import (
    Folder,
    Source,
    check_different,
    find_split,
    from_gallery,
    join,
    keep_large,
    read_folder,
    split,
)
from lightir_core.data.tasks import Task
from lightir_core.errors import DataError

WAYS = range(8)


def turn(image: Tensor, way: int) -> Tensor:
    """Return the image (..., H, W) turned or mirrored in one of eight ways; sides may swap."""
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


SSIM_WINDOW_PX = 11
"""A smaller image has no SSIM, so it cannot be validated on."""


@dataclass(frozen=True)
class Pair:
    """A degraded image and its truth: uint8 tensors (C, H, W) and (C, H s, W s)."""

    name: str
    lq: Tensor
    gt: Tensor


@dataclass(frozen=True)
class Draw:
    """What is drawn for the patches of a step.

    Attributes:
        where: a row for each: index of the image, top and left in low-quality pixels, way to turn.
        rng: what degradations go on drawing from.
    """

    where: np.ndarray
    rng: np.random.Generator


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
        """Return the patches of one step; a function of its arguments alone.

        An image is drawn with a chance proportional to the patches it holds, times its weight. Each
        patch is turned and mirrored in one of eight ways. A degradation that draws random numbers
        (noise, rain) is applied to the patch, after turning; rain then always falls downwards.

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
        draw = self.draw(seed, step, batch, patch_px)
        scale, cut_px = self.task.scale, patch_px * self.task.scale
        gt = torch.empty(batch, self.task.out_channels, cut_px, cut_px, dtype=torch.uint8)
        lq = torch.empty(batch, self.task.in_channels, patch_px, patch_px, dtype=torch.uint8)
        clean: list[int] = []
        for row, (index, top, left, way) in enumerate(draw.where.tolist()):
            item = self.source.items[index]
            gt[row] = turn(_cut(item.gt, top * scale, left * scale, cut_px), way)
            if item.lq is None:
                clean.append(row)
            else:
                lq[row] = turn(_cut(item.lq, top, left, patch_px), way)
        if clean:
            lq[clean] = self.task.degrade_batch(gt[clean], draw.rng)
        return lq.float().div_(255), gt.float().div_(255)

    def draw(self, seed: int, step: int, batch: int, patch_px: int) -> Draw:
        """Return where `batch` cuts the patches of a step; arguments and errors as there."""
        rng = np.random.default_rng([seed, step])
        corners = self._draw_corners(rng, batch, patch_px)
        return Draw(np.column_stack([corners, rng.integers(8, size=batch)]), rng)

    def _draw_corners(self, rng: np.random.Generator, batch: int, patch_px: int) -> np.ndarray:
        """Return index, top and left of each patch, in low-quality pixels, (batch, 3)."""
        room = np.maximum(self._sides - patch_px + 1, 0)  # (images, 2) places for a corner
        weights = room.prod(axis=1) * self._weights
        if not weights.any():
            height, width = self._sides[self._sides.prod(axis=1).argmax()]
            raise DataError(
                f"no training image holds a patch of {patch_px}x{patch_px} px "
                f"(low quality; the largest is {width}x{height}); use a smaller patch"
            )
        indices = rng.choice(len(weights), size=batch, p=weights / weights.sum())
        corners = (rng.random((batch, 2)) * room[indices]).astype(np.int64)
        return np.column_stack([indices, corners])

    @cached_property
    def _sides(self) -> np.ndarray:
        return np.array([item.gt.shape[-2:] for item in self.source.items]) // self.task.scale

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array([item.weight for item in self.source.items])


@dataclass(frozen=True)
class Data:
    """What a run trains and validates on; the two share no image."""

    training: TrainingSet
    validation: Source
    notes: tuple[str, ...]

    def pairs(self, *, seed: int = 0, crop_px: int | None = None) -> tuple[Pair, ...]:
        """Return the validation pairs; arguments as `validation_set`."""
        return make_pairs(self.training.task, self.validation, seed=seed, crop_px=crop_px)


def open_data(
    task: Task,
    data: Sequence[Folder],
    val: Path | None,
    *,
    seed: int = 0,
    patch_px: int | None = None,
    patch: str = "a patch",
) -> Data:
    """Return what `--data` and `--val` mean, read once.

    Without `val` the validation images are the data sets' own (``val`` beside ``train``), or a
    tenth of the training images, 1 to 20 of them, which are then not trained on. Without `data`
    the embedded photographs take its place.

    Args:
        task: how images are degraded.
        data: folders or packs to train on.
        val: a folder or a pack to validate on.
        seed: decides which images are held out.
        patch_px: side of the low-quality patches; smaller images are left out with a note.
        patch: what to call one in it.

    Raises:
        DataError: a folder cannot be used, or nothing is left to validate on.
    """
    check_different(data)
    for folder in data:
        if val is not None and folder.path.resolve() == val.resolve():
            raise DataError(f"--data and --val are the same folder {val}; leave --val out")
    training, validation = _read_both(task, data, val, seed)
    if patch_px is not None:
        training = keep_large(training, patch_px, patch)
    notes = (*training.notes, *(f"validation: {note}" for note in validation.notes))
    for folder in data:
        parts = find_split(folder.path)
        if parts:
            recognised = f"recognised {parts[0].name} and {parts[1].name} in {folder.path}"
            notes = (recognised, *notes)
    return Data(TrainingSet(task, training), validation, shorten(notes))


def _read_both(
    task: Task, data: Sequence[Folder], val: Path | None, seed: int
) -> tuple[Source, Source]:
    """Return the training and the validation images."""
    if not data:
        return from_gallery(task, photographs.training()), validation_source(task, val)
    training = join([_read(task, _part(folder.path, 0)) for folder in data], data)
    if val is not None:
        return training, validation_source(task, val)
    parted = [folder for folder in data if find_split(folder.path)]
    if parted:
        held = join([_read(task, _part(folder.path, 1)) for folder in parted], parted)
    else:
        training, held = split(training, seed=seed)
    return training, _fit_to_score(task, held)


def training_set(task: Task, source: Path | None, *, patch_px: int | None = None) -> TrainingSet:
    """Return the images to train on: a folder's or a pack's; None is the embedded photographs.

    Of a folder with ``train`` and ``val`` in it the former is read.

    Args:
        task: how clean images are degraded.
        source: a folder, a pack or None.
        patch_px: side of the low-quality patches; smaller images are left out with a note.

    Raises:
        DataError: the folder cannot be used.
    """
    if source is None:
        images = from_gallery(task, photographs.training())
    else:
        images = _read(task, _part(source, 0))
    return TrainingSet(
        task, images if patch_px is None else keep_large(images, patch_px, "a patch")
    )


def validation_set(
    task: Task, source: Path | None, *, seed: int = 0, crop_px: int | None = None
) -> tuple[Pair, ...]:
    """Return the pairs to validate on, the same at every call with these arguments.

    Args:
        task: how clean images are degraded.
        source: a folder, a pack, or None for the embedded photographs; of a folder with ``train``
            and ``val`` in it the latter is read.
        seed: of the degradations; each image's draws depend on its name, not on its neighbours.
        crop_px: side of a centred square of the low-quality image, for cheap validation in short
            searches; a smaller image is taken whole, as all are with None.

    Raises:
        DataError: the folder cannot be used.
    """
    return make_pairs(task, validation_source(task, source), seed=seed, crop_px=crop_px)


def validation_source(task: Task, path: Path | None) -> Source:
    """Return the images of `validation_set`, with notes on how they were read.

    Raises:
        DataError: the folder cannot be used.
    """
    if path is None:
        return _fit_to_score(task, from_gallery(task, photographs.validation()))
    return _fit_to_score(task, _read(task, _part(path, 1)))


def make_pairs(
    task: Task, source: Source, *, seed: int = 0, crop_px: int | None = None
) -> tuple[Pair, ...]:
    """Return every image of `source` with its degraded form; arguments as `validation_set`."""
    made: list[Pair] = []
    for item in source.items:
        gt = _centre(item.gt, crop_px, task.scale)
        if item.lq is None:
            rng = np.random.default_rng([seed, zlib.crc32(item.name.encode())])
            lq = _degrade(task, gt, rng)
        else:
            lq = _centre(item.lq, crop_px, 1)
        made.append(Pair(item.name, lq, gt))
    return tuple(made)


def _read(task: Task, path: Path) -> Source:
    if is_pack(path):
        return read_pack(task, path)
    if path.is_file():
        raise DataError(f"{path}: this file is no packed data set; give a folder of images")
    return read_folder(task, path)


def _part(path: Path, index: int) -> Path:
    """Return the training (0) or the validation (1) folder of a data set that has both."""
    parts = find_split(path)
    return parts[index] if parts else path


def _fit_to_score(task: Task, source: Source) -> Source:
    least_px = -(-(SSIM_WINDOW_PX + 2 * task.border_px) // task.scale)
    return keep_large(source, least_px, "scoring")


def _degrade(task: Task, gt: Tensor, rng: np.random.Generator) -> Tensor:
    return to_tensor(task.degrade(to_pixels(gt), rng))


def _cut(image: Tensor, top: int, left: int, side: int) -> Tensor:
    return image[:, top : top + side, left : left + side]


def _centre(image: Tensor, crop_px: int | None, scale: int) -> Tensor:
    """Cut out the centred square of `crop_px` pixels, of an image `scale` times as large."""
    if crop_px is None:
        return image
    height, width = image.shape[-2] // scale, image.shape[-1] // scale
    rows, columns = min(crop_px, height), min(crop_px, width)
    # even corners keep the phase of a Bayer pattern
    top, left = ((height - rows) // 2) & ~1, ((width - columns) // 2) & ~1
    inner = image[:, top * scale : (top + rows) * scale, left * scale : (left + columns) * scale]
    return inner.contiguous()
