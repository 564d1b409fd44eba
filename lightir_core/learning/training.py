"""Train a network: seeded patches in, a learning curve out."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lightir_core.learning.curve import Point, Progress
from lightir_core.learning.distil import Teacher, feature_distance, taught, watched
from lightir_core.learning.divergence import FIRST, Watch
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
            been none, if `network` is again as it was at first; also what to keep on the way.
        launch: how the network's kernels are launched; beside a teacher, whose hooks a graph would
            not call, always one by one.

    Raises:
        DivergedError: the loss, or a score, stopped being a finite number, or the loss stayed
            above where it began; see `divergence`.
        TrainingError: the device cannot `launch` so.
    """
    network.to(device)
    averaged = copy.deepcopy(network) if recipe.ema else None
    progress = Progress(validate, report, recipe.patience)
    lesson = _Lesson(data, recipe, seed, device, teacher, half)
    origin = copy.deepcopy(network)
    watch = Watch(recipe, lambda: lesson.first_errors(origin))
    living = Living(network, averaged, Optimiser(network, recipe), progress, watch)
    first, last = _stretch(recipe, pause, living)
    milestones, keeper = _milestones(recipe.steps, checks), Keeper(pause, living)
    if recipe.patience and not first:
        progress.measure(0, network.eval())
    network.train()
    forward: Callable[[Tensor], Tensor] = network
    for step in range(first, last):
        lq, gt = lesson.batch(step)
        if step == first and launch != "eager" and teacher is None:
            forward = launched(network, launch, _laid_out(lq), precision(device, half))
        loss, error = lesson.loss(step, network, forward, lq, gt)
        living.watch.see(step + 1, error)
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
        keep(pause, living, last)
    _settle(living)
    return tuple(progress.curve)


@dataclass(frozen=True)
class _Lesson:
    """What a network is taught by, step by step."""

    data: Batches
    recipe: Recipe
    seed: int
    device: torch.device
    teacher: Teacher | None
    half: bool | None

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        recipe = self.recipe
        lq, gt = self.data.batch(self.seed, step, recipe.batch, recipe.patch_px)
        return lq.to(self.device), gt.to(self.device)

    def loss(
        self,
        step: int,
        network: nn.Module,
        forward: Callable[[Tensor], Tensor],
        lq: Tensor,
        gt: Tensor,
    ) -> tuple[Tensor, float]:
        """What to learn from, and the part of it that is the distance to the truth.

        The part of a teacher changes its meaning from step to step. `forward` is the network, or
        launches it.
        """
        recipe = self.recipe
        teacher = None if self.teacher is None else self.teacher.at(step / recipe.steps)
        features = teacher is not None and teacher.features > 0
        with precision(self.device, self.half), watched(network, features) as stages:
            output = forward(_laid_out(lq)).float()
        loss = distance(output, gt, recipe)
        error = loss.item()
        if teacher is None:
            return loss, error
        target, theirs = taught(teacher, lq)
        loss = (1 - teacher.weight) * loss + teacher.weight * distance(output, target, recipe)
        if features:
            loss = loss + teacher.features * feature_distance(stages, theirs)
        return loss, error

    @torch.no_grad()
    def first_errors(self, network: nn.Module) -> list[float]:
        """Of a network that does not learn, over the batches that a training begins with."""
        network.train()
        errors: list[float] = []
        for step in range(FIRST):
            lq, gt = self.batch(step)
            with precision(self.device, self.half):
                output = network(_laid_out(lq)).float()
            errors.append(distance(output, gt, self.recipe).item())
        return errors


def _stretch(recipe: Recipe, pause: Pause | None, living: Living) -> tuple[int, int]:
    """The steps that are due, from and to; what was kept before the first is brought back."""
    if pause is None:
        return 0, recipe.steps
    return go_on(pause.file, living), min(pause.until, recipe.steps)


def _learn(living: Living, loss: Tensor, step: int, ema: float) -> None:
    """One update of the weights and of their average."""
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
