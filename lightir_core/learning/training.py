"""Train a network: seeded patches in, a learning curve out."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lightir_core.errors import TrainingError
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe

Point = tuple[int, float]
"""(step, score) of a learning curve."""


class Batches(Protocol):
    """Where patches come from; `lightir_core.data.datasets.TrainingSet` is one."""

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """`(lq, gt)` in [0, 1], determined by `seed` and `step` alone."""
        ...


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A network to imitate: the loss becomes (1 - weight) * truth + weight * teacher's output."""

    network: nn.Module
    weight: float = 0.5


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
) -> tuple[Point, ...]:
    """Train `network` in place and return its learning curve.

    Args:
        network: left in eval mode, with the averaged weights if the recipe asks for them.
        data: source of patches.
        recipe: what to do; see `Recipe`.
        seed: decides the patches, and nothing else does.
        device: where the network is.
        validate: score of a network in eval mode, higher is better.
        checks: how often the curve is measured, evenly over the steps, the last step included.
        report: called with each point of the curve.
        teacher: distil from this network.

    Raises:
        TrainingError: the loss stopped being a finite number, or a score is none.
    """
    network.to(device)
    optimiser = Optimiser(network, recipe)
    averaged = copy.deepcopy(network) if recipe.ema else None
    milestones = {round(recipe.steps * (i + 1) / checks) for i in range(checks)} - {0}
    curve: list[Point] = []
    network.train()
    for step in range(recipe.steps):
        lq, gt = (t.to(device) for t in data.batch(seed, step, recipe.batch, recipe.patch_px))
        loss = _loss(network, lq, gt, recipe, teacher, device)
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss became {loss.item()} at step {step + 1}")
        loss.backward()
        optimiser.step(step)
        if averaged is not None:
            _average(averaged, network, min(recipe.ema, (1 + step) / (10 + step)))
        if step + 1 in milestones:
            curve.append((step + 1, validate((averaged or network).eval())))
            if math.isnan(curve[-1][1]):
                raise TrainingError(f"the score became nan at step {step + 1}")
            network.train()
            if report is not None:
                report(curve[-1])
    if averaged is not None:
        network.load_state_dict(averaged.state_dict())
    network.eval()
    return tuple(curve)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 ones there."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast where the device has it in hardware, nothing elsewhere."""
    if has_fast_bfloat16(device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _loss(
    network: nn.Module,
    lq: Tensor,
    gt: Tensor,
    recipe: Recipe,
    teacher: Teacher | None,
    device: torch.device,
) -> Tensor:
    with precision(device):
        output = network(lq.contiguous(memory_format=torch.channels_last))
    loss = _distance(output.float(), gt, recipe)
    if teacher is None:
        return loss
    with torch.no_grad():
        target = teacher.network(lq).float()
    return (1 - teacher.weight) * loss + teacher.weight * _distance(output.float(), target, recipe)


def _distance(output: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    difference = output - target
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
