"""Patches that travel to the device ahead of the steps that need them."""

from __future__ import annotations

import torch
from torch import Tensor

from lightir_core.learning.step import Batches

AHEAD = 64
"""Steps whose patches travel together: some megabytes in place of as many round trips."""


class Ahead:
    """The same patches, carried to a device many steps at a time."""

    def __init__(self, data: Batches, device: torch.device, steps: int = AHEAD) -> None:
        """Carry the patches of `data` to `device`, those of so many steps together."""
        self._data, self._device, self._steps = data, device, steps
        self._held: tuple[tuple[int, ...], Tensor, Tensor] | None = None

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """`(lq, gt)` of a step, on the device."""
        turn, index = divmod(step, self._steps)
        wanted = (seed, turn, batch, patch_px)
        if self._held is None or self._held[0] != wanted:
            first = turn * self._steps
            made = [
                self._data.batch(seed, number, batch, patch_px)
                for number in range(first, first + self._steps)
            ]
            lq, gt = (torch.stack(several).to(self._device) for several in zip(*made, strict=True))
            self._held = wanted, lq, gt
        _, lq, gt = self._held
        return lq[index], gt[index]
