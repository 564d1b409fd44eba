"""What it costs to train slices of a bank: copied out and back, or by a gradient that flows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.func import functional_call

from lightir_core.architecture import Architecture
from lightir_core.network import Network, build
from search.bank.bank import VALUE, Bank, fill
from search.bank.roles import places

TIMES = 5
"""Repetitions, of which the fastest counts."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class StepTimes:
    """Median CPU milliseconds of forward and backward over networks, without the optimiser.

    Attributes:
        alone: of a network with weights of its own.
        copied: slices copied into it before, and back after.
        flowing: called with slices, the gradient flowing into the bank's tensors.
    """

    alone: float
    copied: float
    flowing: float


def step_times(bank: Bank, architectures: Sequence[Architecture], batch: Batch) -> StepTimes:
    """Times of the three ways on one batch."""
    found: list[list[float]] = [[], [], []]
    for architecture in architectures:
        network = build(architecture).train()
        ways = (_alone, _copied, _flowing)
        for times, way in zip(found, ways, strict=True):
            times.append(min(_timed(way, network, bank, batch) for _ in range(TIMES)))
    return StepTimes(*(statistics.median(times) for times in found))


def _timed(
    way: Callable[[Network, Bank, Batch], None], network: Network, bank: Bank, batch: Batch
) -> float:
    begun = time.process_time()
    way(network, bank, batch)
    return 1000 * (time.process_time() - begun)


def _alone(network: Network, _: Bank, batch: Batch) -> None:
    (network(batch[0]) - batch[1]).abs().mean().backward()


def _copied(network: Network, bank: Bank, batch: Batch) -> None:
    planes = bank.borrow(network)
    fill(network, planes)
    _alone(network, bank, batch)
    bank.give_back(network, planes)


def _flowing(network: Network, bank: Bank, batch: Batch) -> None:
    home = places(network)
    bank.borrow(network)  # so that there is room for it
    leaves = {p.key: bank.tensors[p.key][VALUE].detach().requires_grad_() for p in home.values()}
    slices = {name: leaves[place.key][place.index] for name, place in home.items()}
    learned = {name for name, _ in network.named_parameters()}
    state = network.state_dict()
    weights = {n: s if n in learned else s.detach().to(state[n]) for n, s in slices.items()}
    output = functional_call(network, weights, batch[0])
    (output - batch[1]).abs().mean().backward()
