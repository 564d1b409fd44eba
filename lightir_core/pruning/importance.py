"""How much each channel of each unit matters.

With Σ over all entries w of the tensors that a channel lies on, g the gradient of the L1 loss on
one batch, and E the mean over batches:

    taylor     E (Σ w · g)²    the change of the loss as the channel fades, squared (Molchanov et
                               al., CVPR 2019, Eqs. 8 and 9)
    hessian    E Σ w² · g²     its second-order part, with Fisher's diagonal (OBD)
    magnitude  Σ w²            needs no data
    random     anything        for comparison, on average as large as the channel

The sums of hessian and magnitude are those of torch-pruning's GroupHessian and GroupMagnitude
importance without their normaliser, biases included: importances of different units then compare.
Its GroupTaylor importance, Σ |w · E g|, is not ours: near a minimum the gradients of the batches
cancel, and what is left of E g is noise.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lightir_core.errors import SearchError, nearest
from lightir_core.learning.step import Batches
from lightir_core.network import Network
from lightir_core.pruning.channels import Unit, gather, slices, units

BATCHES = 32
"""Batches that importance is measured on, of `BATCH` patches of `PATCH_PX` pixels each."""

BATCH = 4
PATCH_PX = 16

Ranking = Mapping[Unit, Tensor]
"""For each unit (lanes, channels) of float64: the larger, the more a channel is missed."""


@dataclass(frozen=True)
class Importance:
    """A way to weigh channels.

    Attributes:
        entries: network, patches and seed to a number for each entry of each parameter, on one
            batch after another.
        squared: whether a channel's sum is squared on each batch.
        needs_data: whether it looks at images.
        drawn: whether a channel's sum is multiplied by a random number.
    """

    entries: Callable[[Network, Batches | None, int], Iterator[dict[str, Tensor]]]
    needs_data: bool
    squared: bool = False
    drawn: bool = False


def rank(network: Network, kind: str, data: Batches | None, seed: int) -> Ranking:
    """Return the importance of every channel.

    Args:
        network: with plain projections (`lightir_core.pruning.channels.fold`), in eval mode; its
            gradients are cleared.
        kind: a key of `IMPORTANCES`.
        data: patches, for those that look at images.
        seed: decides the patches, and the order for "random".

    Raises:
        SearchError: no such importance, or one that needs data when none is given.
    """
    importance = find(kind, data)
    there = units(network.architecture)
    lying = {unit: slices(network.architecture, unit) for unit in there}
    ranking = {
        unit: torch.zeros(extent.lanes * extent.size, dtype=torch.float64)
        for unit, extent in there.items()
    }
    for values in importance.entries(network, data, seed):
        for unit, total in ranking.items():
            sums = gather(values, lying[unit], len(total))
            total += sums.square() if importance.squared else sums
    generator = torch.Generator().manual_seed(seed)
    for total in ranking.values() if importance.drawn else ():
        total *= torch.rand(len(total), generator=generator, dtype=total.dtype)
    return {unit: total.view(there[unit].lanes, -1) for unit, total in ranking.items()}


def find(kind: str, data: Batches | None) -> Importance:
    """Return the importance called `kind`; errors as `rank`."""
    if kind not in IMPORTANCES:
        raise SearchError(
            f"importance {kind!r} is not known{nearest(kind, IMPORTANCES)}; use one of "
            f"{', '.join(IMPORTANCES)}"
        )
    if IMPORTANCES[kind].needs_data and data is None:
        free = [name for name, entry in IMPORTANCES.items() if not entry.needs_data]
        raise SearchError(
            f"importance {kind!r} is measured on images, and none are given; give --data, or use "
            f"{' or '.join(free)}"
        )
    return IMPORTANCES[kind]


def loss_on(network: Network, data: Batches, seed: int, batches: int = BATCHES) -> float:
    """Mean absolute error on the first batches of those that importance is measured on."""
    with torch.no_grad():
        losses = [_loss(network, *pair) for pair in _patches(network, data, seed, batches)]
    return float(torch.stack(losses).mean())


def _patches(
    network: Network, data: Batches, seed: int, batches: int = BATCHES
) -> Iterator[tuple[Tensor, Tensor]]:
    device = next(network.parameters()).device
    for step in range(batches):
        lq, gt = data.batch(seed, step, BATCH, PATCH_PX)
        yield lq.to(device), gt.to(device)


def _loss(network: Network, lq: Tensor, gt: Tensor) -> Tensor:
    return (network(lq) - gt).abs().mean()


def _taylor(network: Network, data: Batches | None, seed: int) -> Iterator[dict[str, Tensor]]:
    for grads in _gradients(network, data, seed):
        yield {name: w.detach() * grads[name] for name, w in network.named_parameters()}


def _hessian(network: Network, data: Batches | None, seed: int) -> Iterator[dict[str, Tensor]]:
    for products in _taylor(network, data, seed):
        yield {name: product.square() for name, product in products.items()}


def _magnitude(network: Network, _: Batches | None, __: int) -> Iterator[dict[str, Tensor]]:
    yield {name: w.detach().square() for name, w in network.named_parameters()}


def _ones(network: Network, _: Batches | None, __: int) -> Iterator[dict[str, Tensor]]:
    yield {name: torch.ones_like(w) for name, w in network.named_parameters()}


def _gradients(network: Network, data: Batches | None, seed: int) -> Iterator[dict[str, Tensor]]:
    """Return the loss's gradient on each batch; a parameter that it does not reach has zero."""
    assert data is not None
    parameters = dict(network.named_parameters())
    for lq, gt in _patches(network, data, seed):
        entry = torch.autograd.grad(
            _loss(network, lq, gt), list(parameters.values()), allow_unused=True
        )
        yield {
            name: torch.zeros_like(p) if g is None else g
            for (name, p), g in zip(parameters.items(), entry, strict=True)
        }


IMPORTANCES: dict[str, Importance] = {
    "taylor": Importance(_taylor, needs_data=True, squared=True),
    "magnitude": Importance(_magnitude, needs_data=False),
    "hessian": Importance(_hessian, needs_data=True),
    "random": Importance(_ones, needs_data=False, drawn=True),
}
