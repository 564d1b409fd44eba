"""The loss of a training step: patches, the truth, perhaps a teacher."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from lightir_core.learning.cuda_graph import LaunchMode, prepare_forward
from lightir_core.learning.curve import FIRST
from lightir_core.learning.distil import (
    Teacher,
    feature_distance,
    stage_outputs,
    teacher_outputs,
)
from lightir_core.learning.recipe import Recipe


class Batches(Protocol):
    """Where patches come from; `lightir_core.data.datasets.TrainingSet` is one."""

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return `(lq, gt)` in [0, 1], determined by `seed` and `step` alone."""
        ...


PREFETCHED_STEPS = 64
"""Steps whose patches travel together: some megabytes in place of as many round trips."""

Penalty = Callable[[nn.Module], Tensor]
"""Added to the loss: of the network's weights alone, such as one that makes channels fade."""


@dataclass(kw_only=True)
class StepLoss:
    """Every step's loss.

    Attributes:
        data: source of patches.
        recipe: batch, patches and kind of loss.
        seed: decides the patches.
        device: where the network is.
        teacher: to be followed too, or None.
        penalty: added to the loss, or None.
        half: whether to use bfloat16 autocast; None where that is faster.
        launch_mode: how the network's kernels are launched; beside a teacher, whose hooks a graph
            would not call, always one by one.
    """

    data: Batches
    recipe: Recipe
    seed: int
    device: torch.device
    teacher: Teacher | None
    penalty: Penalty | None
    half: bool | None
    launch_mode: LaunchMode
    _forward: Callable[[Tensor], Tensor] | None = field(default=None, init=False)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the patches of a step and their truth, on the device."""
        recipe = self.recipe
        lq, gt = self.data.batch(self.seed, step, recipe.batch, recipe.patch_px)
        return lq.to(self.device), gt.to(self.device)

    def loss(self, step: int, network: nn.Module, lq: Tensor, gt: Tensor) -> tuple[Tensor, float]:
        """Return what to learn from, and the part of it that is the distance to the truth.

        The teacher's part changes its meaning from step to step, so it tells nothing of progress.
        """
        recipe = self.recipe
        teacher = None if self.teacher is None else self.teacher.at(step / recipe.steps)
        features = teacher is not None and teacher.features > 0
        forward = self._prepared(network, lq)
        with precision(self.device, self.half), stage_outputs(network, features) as stages:
            output = forward(_laid_out(lq)).float()
        loss = distance(output, gt, recipe)
        error = loss.item()
        if teacher is not None:
            target, their_stages = teacher_outputs(teacher, lq)
            loss = (1 - teacher.weight) * loss + teacher.weight * distance(output, target, recipe)
            if features:
                loss = loss + teacher.features * feature_distance(stages, their_stages)
        return (loss if self.penalty is None else loss + self.penalty(network)), error

    @torch.no_grad()
    def first_errors(self, network: nn.Module) -> list[float]:
        """Return a resting network's errors over the batches that a training begins with."""
        network.train()
        errors: list[float] = []
        for step in range(FIRST):
            lq, gt = self.batch(step)
            with precision(self.device, self.half):
                output = network(_laid_out(lq)).float()
            errors.append(distance(output, gt, self.recipe).item())
        return errors

    def _prepared(self, network: nn.Module, lq: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the network, or what computes it, made at the first step, whose shape all have."""
        if self.launch_mode == "eager" or self.teacher is not None:
            return network
        if self._forward is None:
            context = precision(self.device, self.half)
            self._forward = prepare_forward(network, self.launch_mode, _laid_out(lq), context)
        return self._forward


class Prefetch:
    """Carries patches to a device many steps at a time."""

    def __init__(self, data: Batches, device: torch.device, steps: int = PREFETCHED_STEPS) -> None:
        """Carry the patches of `data` to `device`, those of so many steps together."""
        self._data, self._device, self._steps = data, device, steps
        self._block: tuple[tuple[int, ...], Tensor, Tensor] | None = None

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return `(lq, gt)` of a step, on the device."""
        number, index = divmod(step, self._steps)
        wanted = (seed, number, batch, patch_px)
        if self._block is None or self._block[0] != wanted:
            first = number * self._steps
            made = [
                self._data.batch(seed, step_number, batch, patch_px)
                for step_number in range(first, first + self._steps)
            ]
            lq, gt = (torch.stack(several).to(self._device) for several in zip(*made, strict=True))
            self._block = wanted, lq, gt
        _, lq, gt = self._block
        return lq[index], gt[index]


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether light networks train faster under bfloat16 autocast than without.

    On a CPU, even with instructions for it, the casts of many small tensors cost networks of 90,000
    parameters more than the products save, and break about even at 400,000
    (`python -m benchmarks step`).
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def precision(
    device: torch.device, half: bool | None = None
) -> contextlib.AbstractContextManager[object]:
    """Return bfloat16 autocast if `half`, or where that is faster; else nothing."""
    if has_fast_bfloat16(device) if half is None else half:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _laid_out(lq: Tensor) -> Tensor:
    return lq.contiguous(memory_format=torch.channels_last)


def distance(output: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    """Return the loss that `recipe` asks for, between images of one shape."""
    difference = output - target
    if recipe.loss == "mse":
        return difference.square().mean()
    if recipe.loss == "charbonnier":
        return torch.sqrt(difference.square() + 1e-6).mean()
    return difference.abs().mean()
