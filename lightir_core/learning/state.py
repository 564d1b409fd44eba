"""A training that stops half-way and goes on later, bit for bit as if it had not.

Patches are determined by seed and step, so weights, averages, the optimisers' moments and the
curve are all there is to keep; they go into one safetensors file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lightir_core.errors import CheckpointError
from lightir_core.learning.curve import DivergenceCheck, LearningCurve, Restart
from lightir_core.learning.optimiser import Optimiser
from lightir_core.tensor_files import load_state, load_tensors, save_tensors


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

    network: nn.Module
    averaged: nn.Module | None
    optimiser: Optimiser
    curve: LearningCurve
    divergence: DivergenceCheck


class StateWriter:
    """Saves a running training now and then, and where it stops before its end."""

    def __init__(self, options: StateOptions | None, state: TrainingState, steps: int) -> None:
        """Begin to count the time of a training of `steps`."""
        self._options, self._state, self._steps = options, state, steps
        self._saved_at = time.monotonic()

    def after(self, step: int) -> None:
        """Save the state after `step` steps, if it is time."""
        options = self._options
        if options is None:
            return
        due = options.every_s and time.monotonic() - self._saved_at >= options.every_s
        if due or (step == options.until and step < self._steps):
            save_state(options, self._state, step)
            self._saved_at = time.monotonic()


def save_state(options: StateOptions, state: TrainingState, step: int) -> None:
    """Write the state after `step` steps."""
    groups = {
        "network": state.network.state_dict(),
        "averaged": state.averaged.state_dict() if state.averaged is not None else {},
        "optimiser": state.optimiser.state(),
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
    load_state(state.network, _group(tensors, "network"), str(file))
    if state.averaged is not None:
        load_state(state.averaged, _group(tensors, "averaged"), str(file))
    state.optimiser.restore(_group(tensors, "optimiser"), str(file))
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
