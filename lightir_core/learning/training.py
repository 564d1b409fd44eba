"""Train a network: seeded patches in, a learning curve out."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from lightir_core.errors import TrainingError
from lightir_core.learning.distil import Teacher, feature_distance, taught, watched
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe

Point = tuple[int, float]
"""(step, score) of a learning curve."""


class Batches(Protocol):
    """Where patches come from; `lightir_core.data.datasets.TrainingSet` is one."""

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """`(lq, gt)` in [0, 1], determined by `seed` and `step` alone."""
        ...


Penalty = Callable[[nn.Module], Tensor]
"""Added to the loss: of the network's weights alone, such as one that makes channels fade."""


def train(
    network: nn.Module,
    data: Batches,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    validate: Callable[[nn.Module], float],
    checks: int = 4,
    report: Callable[[Point], None] | None = None,
    teacher: Teacher | None = None,
    penalty: Penalty | None = None,
    half: bool | None = None,
) -> tuple[Point, ...]:
    """Train `network` in place and return its learning curve.

    Args:
        network: left in eval mode, with the averaged weights if the recipe asks for them, and
            with the best ones seen if it asks to stop early.
        data: source of patches.
        recipe: what to do; see `Recipe`.
        seed: decides the patches, and nothing else does.
        device: where the network is.
        validate: score of a network in eval mode, higher is better.
        checks: how often the curve is measured, evenly over the steps, the last step included.
        report: called with each point of the curve.
        teacher: distil from this network.
        penalty: added to the loss.
        half: whether to use bfloat16 autocast; None where the device has it in hardware.

    Raises:
        TrainingError: the loss stopped being a finite number, or a score is none.
    """
    network.to(device)
    optimiser = Optimiser(network, recipe)
    averaged = copy.deepcopy(network) if recipe.ema else None
    milestones = {round(recipe.steps * (i + 1) / checks) for i in range(checks)} - {0}
    progress = _Progress(validate, report, recipe.patience)
    if recipe.patience:
        progress.measure(0, network.eval())
    network.train()
    for step in range(recipe.steps):
        lq, gt = (t.to(device) for t in data.batch(seed, step, recipe.batch, recipe.patch_px))
        loss = _loss(network, lq, gt, recipe, teacher, precision(device, half))
        if penalty is not None:
            loss = loss + penalty(network)
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss became {loss.item()} at step {step + 1}")
        loss.backward()
        optimiser.step(step)
        if averaged is not None:
            _average(averaged, network, min(recipe.ema, (1 + step) / (10 + step)))
        if step + 1 in milestones:
            progress.measure(step + 1, (averaged or network).eval())
            network.train()
            if progress.ended:
                break
    if averaged is not None:
        network.load_state_dict(averaged.state_dict())
    if progress.best is not None:
        network.load_state_dict(progress.best)
    network.eval()
    return tuple(progress.curve)


class _Progress:
    """The learning curve, and with `patience` the best weights on it.

    Attributes:
        curve: so far.
        best: state dict of the best point, or None without patience.
        ended: whether the last `patience` points brought nothing.
    """

    def __init__(
        self,
        validate: Callable[[nn.Module], float],
        report: Callable[[Point], None] | None,
        patience: int,
    ) -> None:
        self._validate, self._report, self._patience = validate, report, patience
        self.curve: list[Point] = []
        self.best: dict[str, Tensor] | None = None
        self._top = -math.inf
        self._stale = 0

    def measure(self, step: int, network: nn.Module) -> None:
        """Add a point; raises TrainingError if it is not a number."""
        score = self._validate(network)
        self.curve.append((step, score))
        if math.isnan(score):
            raise TrainingError(f"the score became nan at step {step}")
        if self._report is not None:
            self._report(self.curve[-1])
        self._stale += 1
        if self._patience and score > self._top:
            self._top, self._stale = score, 0
            self.best = {name: t.detach().clone() for name, t in network.state_dict().items()}

    @property
    def ended(self) -> bool:
        return 0 < self._patience <= self._stale


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 ones there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def precision(
    device: torch.device, half: bool | None = None
) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast if `half`, or where the device has it in hardware; else nothing."""
    if has_fast_bfloat16(device) if half is None else half:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _loss(
    network: nn.Module,
    lq: Tensor,
    gt: Tensor,
    recipe: Recipe,
    teacher: Teacher | None,
    numbers: contextlib.AbstractContextManager[object],
) -> Tensor:
    features = teacher is not None and teacher.features > 0
    with numbers, watched(network, features) as stages:
        output = network(lq.contiguous(memory_format=torch.channels_last)).float()
    loss = _distance(output, gt, recipe)
    if teacher is None:
        return loss
    target, theirs = taught(teacher, lq)
    loss = (1 - teacher.weight) * loss + teacher.weight * _distance(output, target, recipe)
    return loss + teacher.features * feature_distance(stages, theirs) if features else loss


def _distance(output: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    difference = output - target
    if recipe.loss == "mse":
        return difference.square().mean()
    if recipe.loss == "charbonnier":
        return torch.sqrt(difference.square() + 1e-6).mean()
    return difference.abs().mean()


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights a little towards the current ones; copy the buffers."""
    for mean, now in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    for mean, now in zip(averaged.buffers(), network.buffers(), strict=True):
        mean.copy_(now)
