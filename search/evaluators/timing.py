"""Time a finished network at three output sizes, and a training step, on the device at hand."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

import torch

from budgets.latency import device_name, synchronise
from budgets.units import Size
from lightir_core.architecture import Architecture
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.training import train
from lightir_core.network import Network, build
from search.evaluators.images import open_images
from search.jobs import Source

RUNS = 3
"""Timed passes at each size, after one to warm up; their median counts."""

STEPS = 7
"""Timed steps of a training; the median of all but the first counts."""

MOST_SECONDS = 3.0
"""A size at which one pass is expected to take longer is left out: a report can do without it."""

ENLARGING = (Size(180, 320), Size(360, 640), Size(720, 1280))
SAME_SIZE = (Size(128, 128), Size(256, 256), Size(512, 512))


@torch.inference_mode()
def time_network(network: Network, device: torch.device) -> tuple[dict[str, float], str]:
    """Milliseconds by output size, and the name of the device.

    Args:
        network: on `device`, in eval mode.
        device: where it runs.
    """
    scale = network.architecture.scale
    found: dict[str, float] = {}
    expected_s = 0.0
    for size in ENLARGING if scale > 1 else SAME_SIZE:
        if expected_s > MOST_SECONDS:
            break
        found[str(size)] = 1000 * _pass_s(network, size, device)
        # each size has four times the pixels of the one before
        expected_s = 4 * found[str(size)] / 1000
    return found, device_name(str(device))


def _pass_s(network: Network, size: Size, device: torch.device) -> float:
    architecture = network.architecture
    sides = (-(-side // architecture.scale) for side in (size.height, size.width))
    image = torch.rand(1, architecture.in_channels, *sides, device=device)
    network(image)
    synchronise(device)
    times: list[float] = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        network(image)
        synchronise(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def time_training_step(architecture: Architecture, source: Source, recipe: Recipe) -> float:
    """Return the seconds of a training step on this machine's GPU, or on one core of it."""
    torch.set_num_threads(1)
    moments: list[float] = []

    def note(_: object) -> float:
        moments.append(time.perf_counter())
        return 0.0

    train(
        build(architecture),
        open_images(source).training,
        recipe.lasting(STEPS),
        seed=0,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        validate=note,
        checks=STEPS,
    )
    return statistics.median(after - before for before, after in pairwise(moments))
