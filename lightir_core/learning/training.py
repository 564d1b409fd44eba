"""Train a network: seeded patches in, a learning curve out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from lightir_core.learning.cuda_graph import LaunchMode
from lightir_core.learning.curve import DivergenceCheck, LearningCurve, Point
from lightir_core.learning.distil import Teacher
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.state import StateOptions, StateWriter, TrainingState, restore_state
from lightir_core.learning.step import Batches, Penalty, StepLoss


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
    state_options: StateOptions | None = None,
    launch_mode: LaunchMode = "eager",
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
        state_options: stop before the last step, or go on after such a stop, bit for bit as if
            there had been none, if `network` is again as it was at first; also what to save on the
            way.
        launch_mode: how the network's kernels are launched; beside a teacher, whose hooks a graph
            would not call, always one by one.

    Raises:
        DivergedError: the loss, or a score, stopped being a finite number, or the loss stayed
            above where it began; see `curve`.
        TrainingError: the device has no such `launch_mode`.
    """
    network.to(device)
    averaged = copy.deepcopy(network) if recipe.ema else None
    curve = LearningCurve(validate, report, recipe.patience)
    step_loss = StepLoss(
        data=data,
        recipe=recipe,
        seed=seed,
        device=device,
        teacher=teacher,
        penalty=penalty,
        half=half,
        launch_mode=launch_mode,
    )
    origin = copy.deepcopy(network)
    divergence = DivergenceCheck(recipe, lambda: step_loss.first_errors(origin))
    state = TrainingState(network, averaged, Optimiser(network, recipe), curve, divergence)
    first, last = _stretch(recipe, state_options, state)
    milestones = _milestones(recipe.steps, checks)
    writer = StateWriter(state_options, state, recipe.steps)
    if recipe.patience and not first:
        curve.measure(0, network.eval())
    network.train()
    for step in range(first, last):
        lq, gt = step_loss.batch(step)
        loss, error = step_loss.loss(step, network, lq, gt)
        state.divergence.add(step + 1, error)
        _learn(state, loss, step, recipe.ema)
        if step + 1 in milestones:
            curve.measure(step + 1, (averaged or network).eval())
            network.train()
        if curve.ended:
            break
        writer.after(step + 1)
    _settle(state)
    return tuple(curve.points)


def _stretch(recipe: Recipe, options: StateOptions | None, state: TrainingState) -> tuple[int, int]:
    """Return the steps that are due, from and to, with what was saved brought back."""
    if options is None:
        return 0, recipe.steps
    return restore_state(options.file, state), min(options.until, recipe.steps)


def _learn(state: TrainingState, loss: Tensor, step: int, ema: float) -> None:
    """Return one update of the weights and of their average."""
    loss.backward()
    state.optimiser.step(step)
    if state.averaged is not None:
        _average(state.averaged, state.network, min(ema, (1 + step) / (10 + step)))


def _settle(state: TrainingState) -> None:
    """Leave the network in eval mode with the weights that its training was for."""
    if state.averaged is not None:
        state.network.load_state_dict(state.averaged.state_dict())
    if state.curve.best is not None:
        state.network.load_state_dict(state.curve.best)
    state.network.eval()


def _milestones(steps: int, checks: int | Collection[int]) -> set[int]:
    """Return steps after which the curve is measured."""
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
