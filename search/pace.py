"""How long a training step takes, where no trial has told."""

from __future__ import annotations

import time

import torch

from lightir_core.architecture import Architecture
from lightir_core.learning.recipe import Recipe
from results.study import Trial
from search.bank.bank import Bank
from search.bank.warmup import train_step
from search.devices import torch_device
from search.evaluators.images import open_images
from search.plan import Plan


def finishing_seconds(plan: Plan, trial: Trial) -> float:
    """Of a step that trains a trial's network on.

    Taken from its training, or measured if it was scored without one.
    """
    if plan.evaluator.kind == "train":
        return (trial.seconds or 0.0) * plan.recipes.longer / plan.recipes.finish.steps
    return measured_step(plan, trial.architecture, plan.recipes.finish)


def measured_step(plan: Plan, architecture: Architecture, recipe: Recipe) -> float:
    """Seconds of one training step in this process; one before it warms up."""
    batch = open_images(plan.source).training.batch(0, 0, recipe.batch, recipe.patch_px)
    bank, device = Bank(), torch_device(plan.config)
    begun = 0.0
    with torch.random.fork_rng(devices=[]):
        for _ in range(2):
            begun = time.perf_counter()
            train_step(bank, architecture, batch, recipe, 0, device)
    return time.perf_counter() - begun
