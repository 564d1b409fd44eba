"""Train a pruned network until it has recovered: its unpruned parent teaches it.

Before channels are cut, a sparsity penalty can make those that matter little fade:

    penalty = λ Σ over units and channels √n · ‖w‖        (group lasso, Yuan and Lin 2006)

w are all the entries that belong to a channel, n their number. λ makes the penalty a given share of
the loss at the start.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightir_core.errors import SearchError
from lightir_core.learning.curve import Point
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Batches, Penalty, Teacher
from lightir_core.learning.training import train
from lightir_core.network import Network
from lightir_core.pruning.channels import Slice, rows, slices, units
from lightir_core.pruning.importance import loss_on

CHECKS = 10
"""How often the score is looked at, for the early stop."""

PATIENCE = 8
"""Checks without a gain after which it is stopped: by then the rate has fallen to a tenth. Before,
a score is below that of careful pruning alone, and says nothing of what the fall will bring."""

TINY = 1e-12

RECOVERY_RECIPES: dict[str, Recipe] = {
    "quick": Recipe(name="quick", steps=300, patience=PATIENCE),
    "standard": Recipe(name="standard", steps=3000, patch_px=24, ema=0.99, patience=PATIENCE),
}
"""Recovery by name: minutes for a small network on one core, or about an hour."""

Score = Callable[[nn.Module], float]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """How much the parent teaches; see `lightir_core.learning.step`.

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


def recover(
    network: Network,
    parent: Network,
    recovery: Recovery,
    *,
    steps: int | None = None,
    penalty: Penalty | None = None,
) -> tuple[Point, ...]:
    """Train a pruned `network` in place, for `steps` or those of the recipe, its `parent` teaching.

    Returns the learning curve, which begins before the first step.
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


def group_lasso(
    network: Network, share: float, data: Batches, seed: int
) -> Callable[[nn.Module], Tensor]:
    """Return the penalty for trainings of `network`, whose projections must be plain.

    Args:
        network: as it is now.
        share: of the loss that the penalty has now.
        data: patches that the loss is measured on.
        seed: decides the patches.

    Raises:
        SearchError: the share is not above zero.
    """
    if not share > 0:
        raise SearchError(f"sparsity={share}; use a share of the loss above 0, such as 0.1")
    there = units(network.architecture)
    lying = [
        (extent.lanes * extent.size, slices(network.architecture, unit))
        for unit, extent in there.items()
    ]

    def norms(module: nn.Module) -> Tensor:
        parameters = dict(module.named_parameters())
        return torch.stack(
            [_norms(parameters, channels, where).sum() for channels, where in lying]
        ).sum()

    with torch.no_grad():
        factor = share * loss_on(network, data, seed) / norms(network).item()
    return lambda module: factor * norms(module)


def _norms(parameters: dict[str, nn.Parameter], channels: int, where: tuple[Slice, ...]) -> Tensor:
    """√n · ‖w‖ of each channel."""
    device = next(iter(parameters.values())).device
    squares, count = (torch.zeros(channels, device=device) for _ in range(2))
    for one in where:
        if one.name in parameters:
            values = rows(parameters[one.name], one.axis)
            owned = (one.owner >= 0).to(device)
            owner = one.owner.to(device)[owned]
            squares = squares.index_add(0, owner, values.square().sum(1)[owned])
            count = count.index_add(0, owner, torch.full_like(owner, values.shape[1]).float())
    return (count * (squares + TINY)).sqrt()
