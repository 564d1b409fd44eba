"""Train a network: seeded patches in, a learning curve out; pause it and go on, bit for bit.

Patches are determined by seed and step, so weights, averages, the optimisers' moments and the
curve are all there is to keep; they go into one safetensors file.
"""

import copy
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightir_core.checkpoints import load_state, load_tensors, save_tensors
from lightir_core.data.patches import PatchBlocks
from lightir_core.errors import CheckpointError
from lightir_core.learning.curve import DivergenceCheck, LearningCurve, Point, Restart
from lightir_core.learning.learner import (
    EagerSteps,
    GraphedSteps,
    LaunchMode,
    Learner,
    Steps,
    is_graphed,
    separate_stream,
)
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Batches, Penalty, StepLoss, Teacher


@dataclass(frozen=True)
class StateOptions:
    """When the state of a training is saved, and where.

    Attributes:
        until: step to stop after; from the last one on nothing is kept.
        file: what was kept at an earlier stop is read from here, and kept here at this one.
        every_s: on the way everything is kept about so often, for the case that the process dies;
            0 is never.
        restart: that this training is a second attempt is kept too.
    """

    until: int
    file: Path
    every_s: float = 0.0
    restart: Restart | None = None


@dataclass(frozen=True)
class TrainingState:
    """All of a training that changes while it runs."""

    learner: Learner
    curve: LearningCurve
    divergence: DivergenceCheck


class StateWriter:
    """Saves a running training now and then, and where it stops before its end."""

    def __init__(self, options: StateOptions | None, state: TrainingState, steps: int) -> None:
        """Begin to count the time of a training of `steps`."""
        self._options, self._state, self._steps = options, state, steps
        self._saved_at = time.monotonic()

    def is_due(self, step: int) -> bool:
        """Return whether it is time to save the state after `step` steps."""
        options = self._options
        if options is None:
            return False
        late = options.every_s and time.monotonic() - self._saved_at >= options.every_s
        return bool(late or (step == options.until and step < self._steps))

    def save(self, step: int) -> None:
        """Save the state after `step` steps."""
        assert self._options is not None
        save_state(self._options, self._state, step)
        self._saved_at = time.monotonic()


def save_state(options: StateOptions, state: TrainingState, step: int) -> None:
    """Write the state after `step` steps."""
    learner = state.learner
    groups = {
        "network": learner.network.state_dict(),
        "averaged": learner.averaged.state_dict() if learner.averaged is not None else {},
        "optimiser": learner.optimiser.state(),
        "best": state.curve.best or {},
    }
    tensors = {f"{group}/{name}": t for group, some in groups.items() for name, t in some.items()}
    story = {
        "step": step,
        "curve": state.curve.points,
        "losses": state.divergence.to_plain(),
        "restart": options.restart.to_plain() if options.restart else None,
    }
    save_tensors(options.file, tensors, {"story": json.dumps(story)})


def restore_state(file: Path, state: TrainingState) -> int:
    """Bring back what was saved; return the step to go on with, 0 if nothing was saved.

    A damaged file is as good as none: the training repeats itself from its seed.

    Raises:
        CheckpointError: the file is of another network or recipe.
    """
    try:
        tensors, metadata = load_tensors(file)
        story = json.loads(metadata["story"])
    except (CheckpointError, KeyError, ValueError):
        return 0
    learner = state.learner
    load_state(learner.network, _group(tensors, "network"), str(file))
    if learner.averaged is not None:
        load_state(learner.averaged, _group(tensors, "averaged"), str(file))
    learner.optimiser.restore(_group(tensors, "optimiser"), str(file))
    points = [(int(step), float(score)) for step, score in story["curve"]]
    state.curve.restore(points, _group(tensors, "best") or None)
    if "losses" in story:
        state.divergence.restore(story["losses"])
    return int(story["step"])


def saved_step(file: Path | None) -> int:
    """Return the step that a training would go on from; 0 if nothing readable is saved."""
    return _story(file).get("step", 0)


def saved_restart(file: Path | None) -> Restart | None:
    """Return the restart of what was saved; None if it is no second attempt, or not readable."""
    return Restart.from_plain(_story(file).get("restart"))


def _story(file: Path | None) -> dict[str, Any]:
    """Return what is saved beside the tensors; nothing if it is not there or damaged."""
    if file is None:
        return {}
    try:
        return json.loads(load_tensors(file)[1]["story"])
    except (CheckpointError, KeyError, ValueError):
        return {}


def _group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    start = f"{group}/"
    return {n.removeprefix(start): tensor for n, tensor in tensors.items() if n.startswith(start)}


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
    note: Callable[[str], None] | None = None,
    limit_s: float = 0.0,
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
        launch_mode: how a step's kernels are launched; see `lightir_core.learning.learner`.
        note: called with what the user should know: no graph can be made, steps were left out.
        limit_s: seconds for all steps, or 0; who is late leaves steps out, so that the rates have
            fallen when the time is up.

    Raises:
        DivergedError: the loss, or a score, stopped being a finite number, or the loss stayed
            above where it began; see `curve`.
        TrainingError: the device has no such `launch_mode`.
    """
    graphed = is_graphed(launch_mode, device)
    with separate_stream(device, graphed=graphed):
        network.to(device)
        step_loss = StepLoss(
            data=data,
            recipe=recipe,
            seed=seed,
            device=device,
            teacher=teacher,
            penalty=penalty,
            half=half,
            compiled=launch_mode == "compiled",
        )
        origin = copy.deepcopy(network)
        averaged = copy.deepcopy(network) if recipe.ema else None
        state = TrainingState(
            Learner(network, averaged, Optimiser(network, recipe, in_graph=graphed), step_loss),
            LearningCurve(validate, report, recipe.patience),
            DivergenceCheck(recipe, lambda: step_loss.first_errors(origin)),
        )
        first, last = _stretch(recipe, state_options, state)
        steps = _steps(state.learner, range(first, last), graphed=graphed)
        writer = StateWriter(state_options, state, recipe.steps)
        milestones = _milestones(recipe.steps, checks)
        taken = _run(state, steps, range(first, last), milestones, writer, limit_s)
        _settle(state)
        if note is not None and isinstance(steps, GraphedSteps) and steps.note:
            note(steps.note)
        if note is not None and limit_s and taken < last - first and not state.curve.ended:
            note(f"{taken} of {last - first} steps were taken, to end in time")
    return tuple(state.curve.points)


def _steps(learner: Learner, due: range, *, graphed: bool) -> EagerSteps | GraphedSteps:
    """Return what takes the steps of a training."""
    if not graphed:
        return EagerSteps(learner)
    data = learner.loss.data
    patches = data if isinstance(data, PatchBlocks) else PatchBlocks(data, learner.loss.device)
    return GraphedSteps(learner, patches, due)


def _run(
    state: TrainingState,
    steps: Steps,
    due: range,
    milestones: set[int],
    writer: StateWriter,
    limit_s: float,
) -> int:
    """Take the steps that are due; measure and save on the way. How many were taken."""
    learner, curve, taken = state.learner, state.curve, 0
    if learner.loss.recipe.patience and not due.start:
        curve.measure(0, learner.network.eval())
    learner.network.train()
    unmeasured = {step for step in milestones if step > due.start}
    for step in _punctual(due, learner.loss.recipe.steps, limit_s):
        steps.take(step)
        taken += 1
        passed = {milestone for milestone in unmeasured if milestone <= step + 1}
        unmeasured -= passed
        is_saved = writer.is_due(step + 1)
        if passed or is_saved or steps.is_full or step + 1 == due.stop:
            for number, error in steps.read():
                state.divergence.add(number + 1, error)
        if passed:
            curve.measure(step + 1, (learner.averaged or learner.network).eval())
            learner.network.train()
        if curve.ended:
            break
        if is_saved:
            writer.save(step + 1)
    return taken


def _punctual(due: range, steps: int, limit_s: float) -> Iterator[int]:
    """Yield the steps that are due, so many left out as a training of `steps` is late.

    The last one is always taken.
    """
    begun, step = time.monotonic() - limit_s * due.start / steps, due.start
    while step < due.stop:
        yield step
        punctual = int(steps * (time.monotonic() - begun) / limit_s) if limit_s else 0
        step = max(step + 1, min(punctual, due.stop - 1))


def _stretch(recipe: Recipe, options: StateOptions | None, state: TrainingState) -> tuple[int, int]:
    """Return the steps that are due, from and to, with what was saved brought back."""
    if options is None:
        return 0, recipe.steps
    return restore_state(options.file, state), min(options.until, recipe.steps)


def _settle(state: TrainingState) -> None:
    """Leave the network in eval mode with the weights that its training was for."""
    learner, best = state.learner, state.curve.best
    if learner.averaged is not None:
        learner.network.load_state_dict(learner.averaged.state_dict())
    if best is not None:
        learner.network.load_state_dict(best)
    learner.network.eval()


def _milestones(steps: int, checks: int | Collection[int]) -> set[int]:
    """Return steps after which the curve is measured."""
    if isinstance(checks, int):
        return {round(steps * (i + 1) / checks) for i in range(checks)} - {0}
    return set(checks)
