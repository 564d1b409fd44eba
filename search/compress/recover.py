"""Train a pruned network until it has recovered: its unpruned parent teaches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import nn

from lightir_core.learning.curve import Point
from lightir_core.learning.distil import Teacher
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Batches, Penalty
from lightir_core.learning.training import train
from lightir_core.network import Network

CHECKS = 10
"""How often the score is looked at, for the early stop."""

PATIENCE = 8
"""Checks without a gain after which it is stopped: by then the rate has fallen to a tenth. Before,
a score is below that of careful pruning alone, and says nothing of what the fall will bring."""

RECIPES: dict[str, Recipe] = {
    "quick": Recipe(name="quick", steps=300, patience=PATIENCE),
    "standard": Recipe(name="standard", steps=3000, patch_px=24, ema=0.99, patience=PATIENCE),
}
"""Recovery by name: minutes for a small network on one core, or about an hour."""

Score = Callable[[nn.Module], float]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """How much the parent teaches; see `lightir_core.learning.distil`.

    Attributes:
        weight: share of the loss that is the distance to the parent's output at the start, from
            where it falls to 0; 0 is none.
        features: weight of the distance between the stages' attention maps, likewise; 0 is none.
    """

    weight: float = Teacher.weight
    features: float = Teacher.features


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Everything that trainings of a compression share.

    Attributes:
        recipe: of the last training; those before it are cut from it.
        distillation: from the parent.
        data: patches.
        validate: score of a network, higher is better.
        device: where to train.
        seed: decides the patches.
    """

    recipe: Recipe
    distillation: Distillation
    data: Batches
    validate: Score
    device: torch.device
    seed: int

    def to_plain(self) -> dict[str, object]:
        """The recipe and the weights of the losses, for the record."""
        return {**asdict(self.recipe), "distillation": asdict(self.distillation)}


def recover(
    network: Network,
    parent: Network,
    recovery: Recovery,
    *,
    steps: int | None = None,
    penalty: Penalty | None = None,
) -> tuple[Point, ...]:
    """Train `network` in place; its learning curve, which begins before the first step.

    Args:
        network: what was pruned.
        parent: teaches; left as it is.
        recovery: see there.
        steps: how many, if not the recipe's.
        penalty: added to the loss.
    """
    weights = recovery.distillation
    teacher = None
    if weights.weight or weights.features:
        parent = parent.to(recovery.device).eval()
        teacher = Teacher(network=parent, weight=weights.weight, features=weights.features)
    return train(
        network,
        recovery.data,
        recovery.recipe.lasting(steps or recovery.recipe.steps),
        seed=recovery.seed,
        device=recovery.device,
        validate=recovery.validate,
        checks=CHECKS,
        teacher=teacher,
        penalty=penalty,
    )
