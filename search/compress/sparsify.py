"""Sparsity-regularised training: before they are cut, channels that matter little fade.

    penalty = λ Σ over units and channels √n · ‖w‖        (group lasso, Yuan and Lin 2006)

w are all the entries that belong to a channel, n their number. λ makes the penalty a given share of
the loss at the start.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightir_core.errors import SearchError
from lightir_core.network import Network
from search.compress.channels import slices
from search.compress.importance import Batches, loss_on
from search.compress.slices import Slice, rows
from search.compress.units import units

TINY = 1e-12


def group_lasso(
    network: Network, share: float, data: Batches, seed: int
) -> Callable[[nn.Module], Tensor]:
    """The penalty for trainings of `network`, whose projections must be plain.

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
    places = [
        (extent.lanes * extent.size, slices(network.architecture, unit))
        for unit, extent in there.items()
    ]

    def norms(module: nn.Module) -> Tensor:
        parameters = dict(module.named_parameters())
        return torch.stack(
            [_norms(parameters, channels, where).sum() for channels, where in places]
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
