"""How many patches a second the data path gives, beside how many a training takes.

Everything is measured in CPU time of one thread, so that a loaded machine gives the same ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.core import one_core
from lightir_core.architecture import Architecture
from lightir_core.data.datasets import TrainingSet, training_set
from lightir_core.data.pack import write_pack
from lightir_core.data.tasks import Task
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.training import train
from lightir_core.network import build


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Patches per second of CPU time, of one task.

    Attributes:
        folder: cut, turned and degraded from a folder's decoded images.
        pack: the same from a packed file.
        training: what a network takes, forward and backward.
    """

    task: str
    folder: float
    pack: float
    training: float

    @property
    def headroom(self) -> float:
        """How many times faster the slower of the two data paths is than the training."""
        return min(self.folder, self.pack) / self.training


@dataclass(frozen=True)
class Fixed:
    """The same patches at every step: a training on it pays for nothing but the network."""

    lq: Tensor
    gt: Tensor

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """The patches, whatever is asked for."""
        return self.lq, self.gt


def measure(
    task: Task, images: Path, architecture: Architecture, place: Path, *, steps: int, batches: int
) -> Throughput:
    """Measure one task with the batch and patch of the proxy recipe.

    Args:
        task: what patches are degraded as.
        images: a folder to read and to pack.
        architecture: of the network that is trained.
        place: a folder for the packed file.
        steps: of the training that is timed.
        batches: of patches that are timed.
    """
    packed = place / f"{task.kind}.pack"
    write_pack(task, images, packed)
    sources = [training_set(task, path, patch_px=PROXY.patch_px) for path in (images, packed)]
    folder, pack = (_data_rate(source, batches) for source in sources)
    training = _training_rate(sources[0], architecture, steps)
    return Throughput(task=task.name, folder=folder, pack=pack, training=training)


def _data_rate(source: TrainingSet, batches: int) -> float:
    def cut() -> None:
        for step in range(batches):
            source.batch(0, step, PROXY.batch, PROXY.patch_px)

    cut()  # a pack's pages are read from the disk once
    return batches * PROXY.batch / _cpu_seconds(cut)


def _training_rate(source: TrainingSet, architecture: Architecture, steps: int) -> float:
    torch.manual_seed(0)
    network = build(architecture)
    fixed = Fixed(*source.batch(0, 0, PROXY.batch, PROXY.patch_px))

    def fit(count: int) -> None:
        recipe = PROXY.lasting(count)
        cpu = torch.device("cpu")
        train(network, fixed, recipe, seed=0, device=cpu, validate=lambda _: 0.0, checks=1)

    fit(2)  # the first steps set things up
    return steps * PROXY.batch / _cpu_seconds(lambda: fit(steps))


@one_core()
def _cpu_seconds(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun
