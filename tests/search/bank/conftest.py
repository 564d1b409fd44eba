"""Networks of all kinds, and which cells of the bank they take."""

import random

import numpy as np
import pytest
import torch

from lightir_core.network import build
from search.bank.roles import places
from spaces import SPACES, TaskShape

SHAPE = TaskShape(scale=2)


@pytest.fixture(scope="session")
def networks():
    """Number -> that many random networks of each space, with its name."""

    def draw(number, names=tuple(SPACES)):
        for name in names:
            rng = random.Random(7)
            for _ in range(number):
                architecture = SPACES[name].decode(SPACES[name].sample(rng), SHAPE)
                with torch.random.fork_rng(devices=[]):
                    yield name, build(architecture)

    return draw


@pytest.fixture(scope="session")
def cells():
    """An architecture -> for each key of the bank the numbers of the entries that it takes."""

    def taken(architecture):
        with torch.random.fork_rng(devices=[]):
            network = build(architecture)
        return cells_of(network)

    return taken


def cells_of(network):
    found = {}
    state = network.state_dict()
    for name, place in places(network).items():
        assert place.key not in found, f"{name} shares {place.key} with another tensor"
        assert len(place.index) <= 7
        numbers = np.zeros(tuple(state[name].shape), np.int64)
        for part in place.index:
            assert part.max() < 512
            numbers = numbers * 512 + part.numpy()
        found[place.key] = set(numbers.ravel().tolist())
    return found
