"""Train a network: seeded patches in, a learning curve out."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Collection
from typing import Protocol

import torch
from torch import Tensor, nn

from lightir_core.errors import TrainingError
from lightir_core.learning.curve import Point, Progress
from lightir_core.learning.distil import Teacher, feature_distance, taught, watched
from lightir_core.learning.launch import Launch, launched
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.pause import Keeper, Living, Pause, go_on, keep
from lightir_core.learning.recipe import Recipe


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
    checks: int | Collection[int] = 4,
    report: Callable[[Point], None] | None = None,
    teacher: Teacher | None = None,
    penalty: Penalty | None = None,
    half: bool | None = None,
    pause: Pause | None = None,
    launch: Launch = "eager",
) -> tuple[Point, ...]:
    """Train `network` in place and return its learning curve.

    Args:
        network: left in eval mode, with the averaged weights if the recipe asks for them, and
            with the best ones seen if it asks to stop early; without meaning after a pause.
        data: source of patches.
        recipe: what to do; see `Recipe`.
        seed: decides the patches, and nothing else does.
        device: where the network is.
        validate: score of a network in eval mode, higher is better.
        checks: how often the curve is measured, evenly over the steps, the last step included; or
            after which steps.
        report: called with each point of the curve.
        teacher: distil from this network.
        penalty: added to the loss.
        half: whether to use bfloat16 autocast; None where that is faster.
        pause: stop before the last step, or go on after such a stop, bit for bit as if there had
            been none; also what to keep on the way.
        launch: how the network's kernels are launched; beside a teacher, whose hooks a graph would
            not call, always one by one.

    Raises:
        TrainingError: the loss stopped being a finite number, a score is none, or the device
            cannot `launch` so.
    """
    network.to(device)
    averaged = copy.deepcopy(network) if recipe.ema else None
    progress = Progress(validate, report, recipe.patience)
    living = Living(network, averaged, Optimiser(network, recipe), progress)
    first = 0 if pause is None else go_on(pause.file, living)
    last = recipe.steps if pause is None else min(pause.until, recipe.steps)
    milestones, keeper = _milestones(recipe.steps, checks), Keeper(pause, living)
    if recipe.patience and not first:
        progress.measure(0, network.eval())
    network.train()
    forward: Callable[[Tensor], Tensor] = network
    for step in range(first, last):
        lq, gt = (t.to(device) for t in data.batch(seed, step, recipe.batch, recipe.patch_px))
        if step == first and launch != "eager" and teacher is None:
            forward = launched(network, launch, _laid_out(lq), precision(device, half))
        teaches = None if teacher is None else teacher.at(step / recipe.steps)
        loss = _loss(network, forward, lq, gt, recipe, teaches, precision(device, half))
        if penalty is not None:
            loss = loss + penalty(network)
        _learn(living, loss, step, recipe.ema)
        if step + 1 in milestones:
            progress.measure(step + 1, (averaged or network).eval())
            network.train()
        if progress.ended:
            break
        keeper.after(step + 1)
    if pause is not None and last < recipe.steps and not progress.ended:
        keep(pause.file, living, last)
    _settle(living)
    return tuple(progress.curve)


def _learn(living: Living, loss: Tensor, step: int, ema: float) -> None:
    """One update of the weights and of their average."""
    if not math.isfinite(loss.item()):
        raise TrainingError(f"the loss became {loss.item()} at step {step + 1}")
    loss.backward()
    living.optimiser.step(step)
    if living.averaged is not None:
        _average(living.averaged, living.network, min(ema, (1 + step) / (10 + step)))


def _settle(living: Living) -> None:
    """Leave the network in eval mode with the weights that its training was for."""
    if living.averaged is not None:
        living.network.load_state_dict(living.averaged.state_dict())
    if living.progress.best is not None:
        living.network.load_state_dict(living.progress.best)
    living.network.eval()


def _milestones(steps: int, checks: int | Collection[int]) -> set[int]:
    """Steps after which the curve is measured."""
    if isinstance(checks, int):
        return {round(steps * (i + 1) / checks) for i in range(checks)} - {0}
    return set(checks)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether light networks train faster under bfloat16 autocast there than in single precision.

    On a CPU they do not, even with instructions for it: the casts of many small tensors cost more
    than the products save, convolutions alone excepted (`python -m search bench recipe`).
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def precision(
    device: torch.device, half: bool | None = None
) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast if `half`, or where that is faster; else nothing."""
    if has_fast_bfloat16(device) if half is None else half:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _laid_out(lq: Tensor) -> Tensor:
    return lq.contiguous(memory_format=torch.channels_last)


def _loss(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    lq: Tensor,
    gt: Tensor,
    recipe: Recipe,
    teacher: Teacher | None,
    numbers: contextlib.AbstractContextManager[object],
) -> Tensor:
    features = teacher is not None and teacher.features > 0
    with numbers, watched(network, features) as stages:
        output = forward(_laid_out(lq)).float()
    loss = distance(output, gt, recipe)
    if teacher is None:
        return loss
    target, theirs = taught(teacher, lq)
    loss = (1 - teacher.weight) * loss + teacher.weight * distance(output, target, recipe)
    return loss + teacher.features * feature_distance(stages, theirs) if features else loss


def distance(output: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    """The loss that `recipe` asks for, between images of one shape."""
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
