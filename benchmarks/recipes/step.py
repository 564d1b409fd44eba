"""Where the time of a training step goes, in CPU time of one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.core import one_core
from lightir_core.architecture import Architecture
from lightir_core.learning.muon import Muon
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import distance, precision
from lightir_core.network import build
from search.evaluators.images import open_images
from search.jobs import Source

ROUNDS = 15
"""Steps of each form, in turns; their medians count."""

FIRST = 3
"""Steps that set things up."""

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Step:
    """Medians of CPU milliseconds of one training step on one core.

    Attributes:
        half: under bfloat16 autocast.
        data: cutting and degrading the patches.
        forward: network and loss.
        backward: gradients.
        update: clipping and the optimisers.
        torch_muon: what torch's Muon, matrix by matrix, would take for the same matrices, and
        muon: ours.
    """

    half: bool
    data: float
    forward: float
    backward: float
    update: float
    torch_muon: float
    muon: float

    @property
    def total(self) -> float:
        """Of the step."""
        return self.data + self.forward + self.backward + self.update

    @property
    def before(self) -> float:
        """Of a step with torch's Muon."""
        return self.total - self.muon + self.torch_muon


@one_core()
def measure_steps(architecture: Architecture, recipe: Recipe, source: Source) -> list[Step]:
    """Steps in single precision and under bfloat16 autocast, in turns."""
    torch.manual_seed(0)
    network = build(architecture).train()
    optimiser = Optimiser(network, recipe)
    spent: dict[bool, list[list[float]]] = {False: [], True: []}
    for number in range(FIRST + ROUNDS):
        for half, found in spent.items():
            found.append(list(_one_step(network, optimiser, recipe, source, number, half=half)))
    ours, torchs = _muons(network)
    return [
        Step(
            half=half,
            data=data,
            forward=forward,
            backward=backward,
            update=update,
            torch_muon=torchs,
            muon=ours,
        )
        for half, found in spent.items()
        for data, forward, backward, update in [_medians(found)]
    ]


def _one_step(
    network: nn.Module,
    optimiser: Optimiser,
    recipe: Recipe,
    source: Source,
    number: int,
    *,
    half: bool,
) -> Iterator[float]:
    """CPU milliseconds of each part of one step."""
    data, mark = open_images(source).training, _stopwatch()
    lq, gt = data.batch(0, number, recipe.batch, recipe.patch_px)
    yield mark()
    with precision(CPU, half):
        output = network(lq.contiguous(memory_format=torch.channels_last)).float()
    loss = distance(output, gt, recipe)
    yield mark()
    loss.backward()
    yield mark()
    optimiser.step(number)
    yield mark()


def _muons(network: nn.Module) -> tuple[float, float]:
    """CPU milliseconds of one update of the trunk's matrices: by our Muon, by torch's."""
    shapes = [
        p.flatten(1).shape for p in network.parameters() if p.ndim > 1 and min(p.shape[:2]) > 1
    ]
    made = [[torch.randn(shape) for shape in shapes] for _ in range(2)]
    both = Muon(made[0], 1e-3), torch.optim.Muon(made[1], 1e-3, adjust_lr_fn="match_rms_adamw")
    spent: list[list[float]] = []
    for _ in range(FIRST + ROUNDS):
        for matrix in [*made[0], *made[1]]:
            matrix.grad = torch.randn_like(matrix)
        mark, row = _stopwatch(), []
        for muon in both:
            muon.step()
            row.append(mark())
        spent.append(row)
    ours, torchs = _medians(spent)
    return ours, torchs


def _medians(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(statistics.median(column) for column in zip(*rows[FIRST:], strict=True))


def _stopwatch() -> Callable[[], float]:
    """A function that tells the CPU milliseconds since it was last called."""
    last = time.process_time()

    def mark() -> float:
        nonlocal last
        before, last = last, time.process_time()
        return 1000 * (last - before)

    return mark


def table(measured: Sequence[tuple[str, int, Sequence[Step]]], recipe: Recipe) -> list[str]:
    """Lines of Markdown, from names of networks, their parameters and their steps."""
    lines = [
        "| network | parameters | precision | data | forward | backward | update | step "
        "| patches/s | with torch's Muon |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, params, steps in measured:
        for step in steps:
            parts = (step.data, step.forward, step.backward, step.update, step.total)
            told = " | ".join(f"{part:.1f}" for part in parts)
            rates = (1000 * recipe.batch / t for t in (step.total, step.before))
            now, before = (f"{rate:,.0f}" for rate in rates)
            kind = "bfloat16" if step.half else "single"
            lines.append(f"| {name} | {params:,} | {kind} | {told} | {now} | {before} |")
    return lines
