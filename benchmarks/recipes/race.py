"""Train one network in one way for so many CPU-seconds of one core.

The number of steps is what fits: the time of a step is measured before all races of a network, of
all ways in turns, and the shortest of some rounds counts: what other programs do to a core
would else give one side more steps. Validation and the data path's start are not counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.core import one_core
from benchmarks.recipes.attempt import Attempt
from lightir_core.architecture import Architecture
from lightir_core.data.datasets import Pair
from lightir_core.data.tasks import parse_task
from lightir_core.errors import TrainingError
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.step import Batches
from lightir_core.learning.training import train
from lightir_core.network import Network, build
from search.evaluators.images import open_images, validation_crops
from search.jobs import Source

CPU = torch.device("cpu")
TIMED = 8
"""Steps whose mean is the time of one: not all are alike where patches grow."""

CALM = 1e-6
"""A rate at which nothing diverges."""

ROUNDS = 4
"""Of them the fastest counts."""


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """Who runs: what is trained, and how."""

    architecture: Architecture
    attempt: Attempt


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How far somebody came.

    Attributes:
        score: the task's metric on the validation crops, in dB; NaN if the training failed.
        test: the same on whole images that nothing was chosen by; NaN where there are none.
        steps: that fitted into the time; 0 if it failed.
        cpu_s: that they took.
        curve: (step, score).
    """

    score: float
    test: float
    steps: int
    cpu_s: float
    curve: tuple[tuple[int, float], ...]


class _Clock:
    """Batches of another source, and when each was asked for, in CPU seconds."""

    def __init__(self, source: Batches) -> None:
        self._source = source
        self.times: list[float] = []

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        self.times.append(time.process_time())
        return self._source.batch(seed, step, batch, patch_px)


@one_core()
def race(
    entrant: Entrant,
    source: Source,
    steps: int,
    seed: int,
    checks: int = 4,
    test: Sequence[Pair] = (),
) -> Finish:
    """Train for so many steps on one core, with weights and patches from `seed`.

    Args:
        entrant: who runs.
        source: what it is trained and validated on.
        steps: that are due, or `checks` if that is more.
        seed: of the weights and the patches.
        checks: points of the curve.
        test: what to score the trained network on too.
    """
    try:
        return _run(entrant, source, max(checks, steps), seed, checks, test)
    except TrainingError:
        return Finish(score=math.nan, test=math.nan, steps=0, cpu_s=0.0, curve=())


@one_core()
def paces(entrants: Sequence[Entrant], source: Source, rounds: int = ROUNDS) -> list[float]:
    """CPU seconds of a training step of each on one core, patches included."""
    found = [[_step_seconds(entrant, source) for entrant in entrants] for _ in range(rounds)]
    return [min(times) for times in zip(*found, strict=True)]


def _step_seconds(entrant: Entrant, source: Source) -> float:
    clock = _Clock(open_images(source).training)
    # a step takes as long at any rate
    calm = replace(entrant.attempt.recipe, lr=CALM, matrix_lr=CALM)
    attempt = replace(entrant.attempt, recipe=calm)
    _fit(_made(entrant, 0), attempt, clock, TIMED + 2, 0, lambda _: 0.0, 1)
    # the first steps set things up
    return (clock.times[-1] - clock.times[1]) / TIMED


def _run(
    entrant: Entrant, source: Source, steps: int, seed: int, checks: int, test: Sequence[Pair]
) -> Finish:
    task, crops, network = parse_task(source.task), validation_crops(source), _made(entrant, seed)
    aside = 0.0

    def validate(network: nn.Module) -> float:
        nonlocal aside
        begun = time.process_time()
        found = evaluate(network, crops, task, CPU, (task.metric,), fast=True)
        aside += time.process_time() - begun
        return found.mean[task.metric]

    data = open_images(source).training
    begun = time.process_time()
    curve = _fit(network, entrant.attempt, data, steps, seed, validate, checks)
    spent = time.process_time() - begun - aside
    tested = evaluate(network, test, task, CPU, (task.metric,)).mean if test else {}
    outside = tested.get(task.metric, math.nan)
    return Finish(score=curve[-1][1], test=outside, steps=steps, cpu_s=spent, curve=curve)


def _fit(
    network: Network,
    attempt: Attempt,
    data: Batches,
    steps: int,
    seed: int,
    validate: Callable[[nn.Module], float],
    checks: int,
) -> tuple[tuple[int, float], ...]:
    return train(
        network,
        attempt.patches(data, steps),
        attempt.recipe.lasting(steps),
        seed=seed,
        device=CPU,
        validate=validate,
        checks=checks,
        half=attempt.half,
    )


def _made(entrant: Entrant, seed: int) -> Network:
    torch.manual_seed(seed)
    network = build(entrant.attempt.shape(entrant.architecture))
    entrant.attempt.begin(network)
    return network
