"""How many patches a second the data path gives, beside how many a training takes.

Everything is measured in CPU time of one thread, so that a loaded machine gives the same ratios.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks import harness
from benchmarks.harness import Out, Row, one_core
from budgets.assess import reference_size
from budgets.budget import format_count
from budgets.price import price
from lightir_core.architecture import Architecture
from lightir_core.data.datasets import TrainingSet, training_set
from lightir_core.data.pack import write_pack
from lightir_core.data.tasks import Task, parse_task
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.training import train
from lightir_core.network import build
from search.cli.costs import fitting
from search.config import SearchConfig


@dataclass(frozen=True)
class Fixed:
    """The same patches at every step: a training on it pays for nothing but the network."""

    lq: Tensor
    gt: Tensor

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return the patches, whatever is asked for."""
        return self.lq, self.gt


def measure(
    task: Task, images: Path, architecture: Architecture, scratch: Path, *, steps: int, batches: int
) -> Row:
    """Return patches per second of CPU time from a `folder`, a `pack`, and that a `training` takes.

    With the batch and patch of the proxy recipe.

    Args:
        task: what patches are degraded as.
        images: a folder to read and to pack.
        architecture: of the network that is trained.
        scratch: a folder for the packed file.
        steps: of the training that is timed.
        batches: of patches that are timed.
    """
    packed = scratch / f"{task.kind}.pack"
    write_pack(task, images, packed)
    sources = [training_set(task, path, patch_px=PROXY.patch_px) for path in (images, packed)]
    folder, pack = (_data_rate(source, batches) for source in sources)
    training = _training_rate(sources[0], architecture, steps)
    return {"folder": folder, "pack": pack, "training": training}


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


def data(
    images: Annotated[Path, typer.Option("--data", help="Folder of training images.")],
    tasks: Annotated[str, typer.Option(help="Joined by commas.")] = "sr-x2,denoise,jpeg",
    system: Annotated[str, typer.Option(help="A preset, shrunk to the budget.")] = "compacter",
    budget: Annotated[
        str, typer.Option(help="Limits of the network.")
    ] = SearchConfig().search.budget,
    steps: Annotated[int, typer.Option(help="Training steps to time.", min=1)] = 10,
    batches: Annotated[int, typer.Option(help="Batches of patches to time.", min=1)] = 200,
    out: Out = None,
) -> None:
    """Are patches ready faster than a training takes them? On one core, folder and packed file.

    Example:  python -m benchmarks data --data photos/ --tasks sr-x2,denoise,jpeg
    """
    cells: list[list[str]] = []
    for name in tasks.split(","):
        task = parse_task(name)
        network = fitting(system, task.name, budget, reference_size(task))
        with tempfile.TemporaryDirectory() as folder:
            row = measure(task, images, network, Path(folder), steps=steps, batches=batches)
        params = format_count(price(network, reference_size(task)).params)
        rates = (f"{row[key]:,.0f}/s" for key in ("folder", "pack", "training"))
        headroom = min(row["folder"], row["pack"]) / row["training"]
        cells.append([task.name, params, *rates, f"{headroom:,.0f} x"])
    columns = ["task", "network:", "folder:", "packed file:", "training:", "headroom:"]
    harness.publish("## Throughput", harness.table(columns, cells), out)
