"""Training patches for a device: cut there from images that it holds as bytes, many steps at once.

The draws are those of `TrainingSet.batch`, so the patches are the same: bit for bit, since bytes
are copied, noise that was drawn on the CPU is added to whole numbers, and the division by 255 is
IEEE's on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightir_core.data.datasets import TrainingSet
from lightir_core.learning.step import Batches


class HeldImages:
    """Images as bytes in one tensor of a device, to cut patches from."""

    def __init__(self, images: Sequence[Tensor], device: torch.device) -> None:
        """Hold uint8 images (C, H, W), all with the same number of channels."""
        sizes = [image.numel() for image in images]
        self._bytes = torch.cat([image.flatten() for image in images]).to(device)
        self._channels = images[0].shape[0]
        starts = np.cumsum([0, *sizes[:-1]])
        rows = [(int(at), *image.shape[1:]) for at, image in zip(starts, images, strict=True)]
        self._rows = torch.tensor(rows, device=device)

    def cut(self, where: Tensor, side: int) -> Tensor:
        """Return turned squares of the images.

        Args:
            where: (N, 4) of int64: number of the image, top, left, and which of the eight ways of
                `lightir_core.data.datasets.turn`.
            side: of the squares.

        Returns:
            (N, C, side, side) of uint8.
        """
        index, top, left, way = where.unbind(1)
        start, height, width = (x.view(-1, 1, 1) for x in self._rows[index].unbind(1))
        along = torch.arange(side, device=where.device).expand(len(where), side)
        flips = [(way & bit).bool()[:, None] for bit in (1, 2)]
        row, column = (torch.where(flip, side - 1 - along, along) for flip in flips)
        swapped = (way & 4).bool().view(-1, 1, 1)
        row, column = row[:, :, None], column[:, None, :]
        down, right = torch.where(swapped, column, row), torch.where(swapped, row, column)
        address = start + (top.view(-1, 1, 1) + down) * width + left.view(-1, 1, 1) + right
        channel = torch.arange(self._channels, device=where.device).view(-1, 1, 1)
        planes = channel * (height * width).unsqueeze(1)
        return self._bytes[address.unsqueeze(1) + planes]


class PatchBlocks:
    """The patches of many steps at once, on a device."""

    def __init__(self, data: Batches, device: torch.device) -> None:
        """Hold the images of `data` on the device, if it can degrade them too.

        A degradation that needs the CPU (JPEG, weather) is made there, and carried over.
        """
        self._data, self._device = data, device
        self._gt = self._lq = None
        if isinstance(data, TrainingSet):
            items = data.source.items
            degraded = [item.lq for item in items if item.lq is not None]
            if len(degraded) == len(items) or (not degraded and data.task.degrades_anywhere):
                self._gt = HeldImages([item.gt for item in items], device)
                self._lq = HeldImages(degraded, device) if degraded else None
        self._white = torch.tensor(255.0, device=device)  # a plain 255 is made a factor on a GPU

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return the patches of one step, on the device; see `block`."""
        lq, gt = self.block(seed, range(step, step + 1), batch, patch_px)
        return lq[0], gt[0]

    def block(self, seed: int, steps: range, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return lq (S, B, C, p, p) and gt (S, B, C, p s, p s) of S steps, float32 in [0, 1].

        Raises:
            DataError: no image is as large as the patch.
        """
        if self._gt is not None and isinstance(self._data, TrainingSet):
            made = self._cut(self._data, self._gt, seed, steps, batch, patch_px)
            lq, gt = (pixels.float() / self._white for pixels in made)
            return lq.unflatten(0, (-1, batch)), gt.unflatten(0, (-1, batch))
        pairs = [self._data.batch(seed, step, batch, patch_px) for step in steps]
        lq, gt = (torch.stack(several).to(self._device) for several in zip(*pairs, strict=True))
        return lq, gt

    def _cut(
        self,
        data: TrainingSet,
        images: HeldImages,
        seed: int,
        steps: range,
        batch: int,
        patch_px: int,
    ) -> tuple[Tensor, Tensor]:
        draws = [data.draw(seed, step, batch, patch_px) for step in steps]
        where = torch.from_numpy(np.concatenate([draw.where for draw in draws])).to(self._device)
        scale = data.task.scale
        enlarged = where * torch.tensor([1, scale, scale, 1], device=self._device)
        gt = images.cut(enlarged, patch_px * scale)
        if self._lq is not None:
            return self._lq.cut(where, patch_px), gt
        parts = zip(gt.unflatten(0, (-1, batch)), draws, strict=True)
        lq = [data.task.degrade_batch(part, draw.rng) for part, draw in parts]
        return torch.cat(lq), gt
