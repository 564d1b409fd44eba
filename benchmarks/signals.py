"""What one training says of a network: its last score, and what might tell more.

Every signal is in dB or grows with the score, so that any of them can rank.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lightir_core.architecture import Architecture
from lightir_core.data.tasks import parse_task
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.training import train
from lightir_core.network import build
from search.evaluators.images import open_images, validation_crops
from search.jobs import Source

CHECKS = 8
"""Points of the curve."""

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was seen while a network was trained.

    Attributes:
        steps: after which it was scored.
        scores: of every validation crop at each of these steps, in dB.
        cpu_s: of the training, its validation included.
    """

    steps: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    cpu_s: float

    @property
    def curve(self) -> list[float]:
        """Mean over the crops, step by step."""
        return [float(np.mean(scores)) for scores in self.scores]


def read(architecture: Architecture, recipe: Recipe, source: Source, seed: int) -> Reading:
    """Train a network on one core, weights and patches from `seed`, and look at it on the way."""
    task, crops = parse_task(source.task), validation_crops(source)
    seen: list[tuple[float, ...]] = []

    def validate(network: nn.Module) -> float:
        found = evaluate(network, crops, task, CPU, (task.metric,), fast=True)
        seen.append(tuple(scores[task.metric] for scores in found.images))
        return found.mean[task.metric]

    torch.manual_seed(seed)
    network = build(architecture)
    begun = time.process_time()
    curve = train(
        network,
        open_images(source).training,
        recipe,
        seed=seed,
        device=CPU,
        validate=validate,
        checks=CHECKS,
    )
    return Reading(
        steps=tuple(step for step, _ in curve),
        scores=tuple(seen),
        cpu_s=time.process_time() - begun,
    )


def last(reading: Reading) -> float:
    """The last score: what a search goes by."""
    return reading.curve[-1]


def smooth(reading: Reading) -> float:
    """Mean of the last three scores, which moves less from step to step."""
    return float(np.mean(reading.curve[-3:]))


def hard(reading: Reading) -> float:
    """The last score on the half of the crops that scores lowest."""
    scores = sorted(reading.scores[-1])
    return float(np.mean(scores[: (len(scores) + 1) // 2]))


def slope(reading: Reading) -> float:
    """What the second half of the training brought."""
    return reading.curve[-1] - reading.curve[len(reading.curve) // 2 - 1]


def extrapolated(reading: Reading) -> float:
    """Where a curve a − b/√step through the second half's scores would end."""
    half = len(reading.steps) // 2
    inverse = np.asarray(reading.steps[half:], dtype=float) ** -0.5
    _, end = np.polyfit(inverse, reading.curve[half:], 1)
    return float(end)


SIGNALS = {
    "last score": last,
    "mean of the last three": smooth,
    "hard crops": hard,
    "slope": slope,
    "extrapolated": extrapolated,
}


def signals(reading: Reading) -> dict[str, float]:
    """All signals of a training."""
    return {name: signal(reading) for name, signal in SIGNALS.items()}
