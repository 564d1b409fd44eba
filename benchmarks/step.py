"""Where the time of a training step goes, in CPU time of one core."""

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
import typer
from torch import nn

from benchmarks import harness
from benchmarks.harness import DataFolders, Out, Row, Val, one_core
from benchmarks.tries import choose_systems, system
from budgets.assess import reference_size
from budgets.price import price
from lightir_core.architecture import Architecture
from lightir_core.data.image_source import ImageSource, open_images
from lightir_core.data.tasks import parse_task
from lightir_core.learning.optimiser import Muon, Optimiser
from lightir_core.learning.recipe import PROXY, Recipe
from lightir_core.learning.step import distance, precision
from lightir_core.network import build
from search.config import SearchConfig

ROUNDS = 15
"""Steps of each form, one form after the other in every round; their medians count."""

FIRST = 3
"""Rounds that set things up."""

PARTS = ("data", "forward", "backward", "update")
CPU = torch.device("cpu")


@one_core()
def measure_steps(architecture: Architecture, recipe: Recipe, source: ImageSource) -> list[Row]:
    """Return median CPU milliseconds of the parts of a step, in single precision and bfloat16.

    `torch_muon` is what torch's Muon, matrix by matrix, would take in place of ours, `muon`.
    """
    torch.manual_seed(0)
    network = build(architecture).train()
    optimiser = Optimiser(network, recipe)
    spent: dict[bool, list[list[float]]] = {False: [], True: []}
    for number in range(FIRST + ROUNDS):
        for half, rows in spent.items():
            rows.append(list(_one_step(network, optimiser, recipe, source, number, half=half)))
    muon, torch_muon = _muons(network)
    return [
        {"half": half, **dict(zip(PARTS, _medians(rows), strict=True))}
        | {"muon": muon, "torch_muon": torch_muon}
        for half, rows in spent.items()
    ]


def _one_step(
    network: nn.Module,
    optimiser: Optimiser,
    recipe: Recipe,
    source: ImageSource,
    number: int,
    *,
    half: bool,
) -> Iterator[float]:
    """Yield CPU milliseconds of each part of one step."""
    data, mark = open_images(source).training, _stopwatch()
    lq, gt = data.batch(0, number, recipe.batch, recipe.patch_px)
    yield next(mark)
    with precision(CPU, half):
        output = network(lq.contiguous(memory_format=torch.channels_last)).float()
    loss = distance(output, gt, recipe)
    yield next(mark)
    loss.backward()
    yield next(mark)
    optimiser.step(number)
    yield next(mark)


def _muons(network: nn.Module) -> tuple[float, ...]:
    """Return CPU milliseconds of one update of the trunk's matrices: by our Muon, by torch's."""
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
            row.append(next(mark))
        spent.append(row)
    return _medians(spent)


def _medians(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(statistics.median(column) for column in zip(*rows[FIRST:], strict=True))


def _stopwatch() -> Iterator[float]:
    """Return an iterator of the CPU milliseconds since its last value; it is running."""

    def marks() -> Iterator[float]:
        last = 0.0
        while True:
            now = time.process_time()
            yield 1000 * (now - last)
            last = now

    running = marks()
    next(running)
    return running


def document(measured: Sequence[tuple[str, int, Sequence[Row]]], recipe: Recipe) -> list[str]:
    """Return a table from names of networks, their parameters and their steps, as Markdown."""
    cells: list[list[str]] = []
    for name, params, steps in measured:
        for step in steps:
            parts = [step[part] for part in PARTS]
            total = sum(parts)
            rates = (
                1000 * recipe.batch / t for t in (total, total - step["muon"] + step["torch_muon"])
            )
            kind = "bfloat16" if step["half"] else "single"
            times = (f"{part:.1f}" for part in (*parts, total))
            cells.append([name, f"{params:,}", kind, *times, *(f"{rate:,.0f}" for rate in rates)])
    columns = ["network", "parameters:", "precision", *(f"{part}:" for part in PARTS), "step:"]
    return harness.table([*columns, "patches/s:", "with torch's Muon:"], cells)


def step(
    kinds: Annotated[str, typer.Option(help="Kinds of network.")] = "window,casa,cross-layer",
    sizes: Annotated[str, typer.Option(help="Sizes of network.")] = "90k,400k",
    task: Annotated[str, typer.Option(help="What to restore.")] = SearchConfig().data.task,
    data: DataFolders = None,
    val: Val = None,
    out: Out = None,
) -> None:
    """Where the time of a training step goes, in CPU time of one core.

    Example:  python -m benchmarks step --kinds window,casa --sizes 90k,400k
    """
    kind, source = parse_task(task), harness.source(task, data, val)
    measured = []
    for name, size in choose_systems(kinds, sizes):
        made = system(name, size, kind)
        params = price(made, reference_size(kind)).params
        measured.append((f"{name} {size}", params, measure_steps(made, PROXY, source)))
        harness.log(f"{name} {size} measured")
    harness.publish("## A training step", document(measured, PROXY), out)
