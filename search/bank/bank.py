"""The weight bank: one named tensor for each role and place, as large as any network needs.

A network of the space is an ordinary network whose tensors are slices of the bank (`roles.py` says
which). Training copies the slices out, with what the optimiser remembers of them, makes one step,
and copies them back: the numbers are those of a gradient that flows into the bank, and of a step
that touches only what the network has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lightir_core.errors import CheckpointError
from lightir_core.network import Network
from lightir_core.tensor_files import load_tensors, save_tensors
from search.bank.roles import Place, places

FORMAT = "lightir-bank-1"

PLANES = 4
"""The value; the mean and the mean square of its gradients; how many steps it has seen."""

VALUE, MEAN, SQUARE, STEPS = range(PLANES)


class Bank:
    """Named tensors (planes, …) that grow to the largest network that was stored."""

    def __init__(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Start empty, or with what `tensors` held."""
        self._tensors = dict(tensors or {})

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """By key, each (planes, …) of float32."""
        return self._tensors

    def __len__(self) -> int:
        """Number of weights that were trained at least once."""
        return sum(int((tensor[STEPS] > 0).sum()) for tensor in self._tensors.values())

    def take(self, place: Place) -> Tensor:
        """All planes of one tensor of a network, (planes, *its shape); zeros where nothing was.

        The gradient of what is taken flows into the bank's tensor.
        """
        return self._room(place)[(slice(None), *place.index)]

    def put(self, place: Place, planes: Tensor) -> None:
        """Store what `take` gives."""
        self._room(place)[(slice(None), *place.index)] = planes

    def borrow(self, network: Network) -> dict[str, Tensor]:
        """All planes of everything in a network's state dict."""
        return {name: self.take(place) for name, place in places(network).items()}

    def give_back(self, network: Network, planes: Mapping[str, Tensor]) -> None:
        """Store what was borrowed for a network, as it is now."""
        for name, place in places(network).items():
            self.put(place, planes[name])

    def _room(self, place: Place) -> Tensor:
        """The tensor of a place, made larger if it has to be."""
        there = self._tensors.get(place.key)
        need = (PLANES, *place.extents)
        if there is None:
            there = self._tensors[place.key] = torch.zeros(need)
        elif any(have < want for have, want in zip(there.shape, need, strict=True)):
            size = [max(pair) for pair in zip(there.shape, need, strict=True)]
            grown = torch.zeros(size)
            grown[tuple(slice(0, have) for have in there.shape)] = there
            there = self._tensors[place.key] = grown
        return there

    def save(self, path: Path, facts: Mapping[str, int]) -> None:
        """Write the bank with numbers that belong to it, atomically."""
        metadata = {"format": FORMAT, "facts": json.dumps(dict(facts))}
        save_tensors(path, self._tensors, metadata)


def load_bank(path: Path) -> tuple[Bank, dict[str, int]]:
    """What `Bank.save` wrote.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it holds no bank.
    """
    tensors, metadata = load_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no weight bank; remove it, and it is trained again")
    return Bank(tensors), json.loads(metadata["facts"])


@torch.no_grad()
def fill(network: Network, planes: Mapping[str, Tensor]) -> float:
    """Copy what was borrowed into a network; what the bank does not know stays as it is.

    Returns:
        The share of the network's weights that the bank knew.
    """
    known, total = 0, 0
    for name, tensor in network.state_dict().items():
        there = planes[name][STEPS] > 0
        tensor.copy_(torch.where(there, planes[name][VALUE].to(tensor), tensor))
        known, total = known + int(there.sum()), total + there.numel()
    return known / total
