"""How long a training step takes on the device at hand."""

import statistics
import time
from itertools import pairwise

import torch
from torch import Tensor

from lightir_core.architecture import Architecture
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.training import train
from lightir_core.network import build

STEPS = 5
"""Steps that are timed."""


class Noise:
    """Batches of random patches for an architecture; notes when each was asked for.

    Attributes:
        moments: by `time.perf_counter`, one for each batch.
    """

    def __init__(self, architecture: Architecture) -> None:
        """Make patches with the channels and the scale of `architecture`."""
        self._architecture = architecture
        self.moments: list[float] = []

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return random patches, the same for the same step."""
        self.moments.append(time.perf_counter())
        inner, side = self._architecture, patch_px * self._architecture.scale
        drawn = torch.Generator().manual_seed(step)
        lq = torch.rand(batch, inner.in_channels, patch_px, patch_px, generator=drawn)
        return lq, torch.rand(batch, inner.out_channels, side, side, generator=drawn)


def time_step(
    architecture: Architecture, recipe: Recipe, device: torch.device | None = None
) -> float:
    """Return the median seconds of some training steps on noise, after one that warms up.

    torch's threads and random numbers are afterwards as they were.

    Args:
        architecture: of the network that is trained.
        recipe: how.
        device: where; None is the GPU of this machine, or one core of it.
    """
    noise = Noise(architecture)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        train(
            build(architecture),
            noise,
            recipe.lasting(STEPS + 2),
            seed=0,
            device=device or torch.device("cuda" if torch.cuda.is_available() else "cpu"),
            validate=lambda _: 0.0,
            checks=1,
        )
    torch.set_num_threads(threads)
    return statistics.median(after - before for before, after in pairwise(noise.moments[1:]))
