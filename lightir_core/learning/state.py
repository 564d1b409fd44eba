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

from lightir_core.checkpoints import load_state, load_tensors, save_tensors
from lightir_core.errors import CheckpointError
from lightir_core.learning.curve import Progress
from lightir_core.learning.divergence import Restart, Watch
from lightir_core.learning.optimiser import Optimiser


@dataclass(frozen=True)
class Pause:
    """Where a training stops for now.

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
class Living:
    """All of a training that changes while it runs."""

    network: nn.Module
    averaged: nn.Module | None
    optimiser: Optimiser
    progress: Progress
    watch: Watch


class Keeper:
    """Keeps a running training now and then, and where it stops before its end."""

    def __init__(self, pause: Pause | None, living: Living, steps: int) -> None:
        """Begin to count the time of a training of `steps`."""
        self._pause, self._living, self._steps = pause, living, steps
        self._kept_at = time.monotonic()

    def after(self, step: int) -> None:
        """Keep how things are after `step` steps, if it is time."""
        pause = self._pause
        if pause is None:
            return
        due = pause.every_s and time.monotonic() - self._kept_at >= pause.every_s
        if due or (step == pause.until and step < self._steps):
            keep(pause, self._living, step)
            self._kept_at = time.monotonic()


def keep(pause: Pause, living: Living, step: int) -> None:
    """Write how things are after `step` steps."""
    groups = {
        "network": living.network.state_dict(),
        "averaged": living.averaged.state_dict() if living.averaged is not None else {},
        "optimiser": living.optimiser.state(),
        "best": living.progress.best or {},
    }
    tensors = {f"{group}/{name}": t for group, some in groups.items() for name, t in some.items()}
    story = {
        "step": step,
        "curve": living.progress.curve,
        "losses": living.watch.to_plain(),
        "restart": pause.restart.to_plain() if pause.restart else None,
    }
    save_tensors(pause.file, tensors, {"story": json.dumps(story)})


def go_on(file: Path, living: Living) -> int:
    """Bring back what was kept; the step to go on with, 0 if nothing was kept.

    A damaged file is as good as none: the training repeats itself from its seed.

    Raises:
        CheckpointError: the file is of another network or recipe.
    """
    try:
        tensors, metadata = load_tensors(file)
        story = json.loads(metadata["story"])
    except (CheckpointError, KeyError, ValueError):
        return 0
    load_state(living.network, _group(tensors, "network"), str(file))
    if living.averaged is not None:
        load_state(living.averaged, _group(tensors, "averaged"), str(file))
    living.optimiser.restore(_group(tensors, "optimiser"), str(file))
    curve = [(int(step), float(score)) for step, score in story["curve"]]
    living.progress.restore(curve, _group(tensors, "best") or None)
    if "losses" in story:
        living.watch.restore(story["losses"])
    return int(story["step"])


def kept_step(file: Path | None) -> int:
    """The step that a training would go on from; 0 if nothing is kept, or cannot be read."""
    return _story(file).get("step", 0)


def restart_of(file: Path | None) -> Restart | None:
    """Whether what was kept is of a second attempt; None too if nothing usable was."""
    return Restart.from_plain(_story(file).get("restart"))


def _story(file: Path | None) -> dict[str, Any]:
    """What is kept beside the tensors; nothing if it is not there or damaged."""
    if file is None:
        return {}
    try:
        return json.loads(load_tensors(file)[1]["story"])
    except (CheckpointError, KeyError, ValueError):
        return {}


def _group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    start = f"{group}/"
    return {n.removeprefix(start): tensor for n, tensor in tensors.items() if n.startswith(start)}
