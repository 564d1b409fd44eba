"""Train a network: seeded patches in, a learning curve out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from lightir_core.learning.cuda_graph import Launch
from lightir_core.learning.curve import Point, Progress
from lightir_core.learning.distil import Teacher
from lightir_core.learning.divergence import Watch
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.state import Keeper, Living, Pause, go_on
from lightir_core.learning.step import Batches, Lesson, Penalty


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
    lesson = Lesson(
        data=data,
        recipe=recipe,
        seed=seed,
        device=device,
        teacher=teacher,
        penalty=penalty,
        half=half,
        launch=launch,
    )
    origin = copy.deepcopy(network)
    watch = Watch(recipe, lambda: lesson.first_errors(origin))
    living = Living(network, averaged, Optimiser(network, recipe), progress, watch)
    first, last = _stretch(recipe, pause, living)
    milestones, keeper = _milestones(recipe.steps, checks), Keeper(pause, living, recipe.steps)
    if recipe.patience and not first:
        progress.measure(0, network.eval())
    network.train()
    for step in range(first, last):
        lq, gt = lesson.batch(step)
        loss, error = lesson.loss(step, network, lq, gt)
        living.watch.see(step + 1, error)
        _learn(living, loss, step, recipe.ema)
        if step + 1 in milestones:
            progress.measure(step + 1, (averaged or network).eval())
            network.train()
        if progress.ended:
            break
        keeper.after(step + 1)
    _settle(living)
    return tuple(progress.curve)


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


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights a little towards the current ones; copy the buffers."""
    for mean, now in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    for mean, now in zip(averaged.buffers(), network.buffers(), strict=True):
        mean.copy_(now)
