"""`python -m search bench simulate`: a search on more workers than there are."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.simulate import Shape, Simulated
from benchmarks.simulate import simulate as simulated
from budgets.budget import Budget
from budgets.units import Size
from lightir_core.data.tasks import parse_task
from search.cli.options import whole
from search.cli.settings import parse_duration
from search.config import SearchConfig, known
from search.feasible.space import Feasible
from search.objectives import objectives
from search.plan import find_space
from search.strategies import STRATEGIES
from spaces import TaskShape

DEFAULT = SearchConfig()
COLUMNS = (
    *("strategy", "workers", "generation", "trials", "trials/s", "ideal", "busy"),
    *("busy, free driver", "driver busy", "CPU ms a trial", "wall ms", "driver's limit"),
)


def simulate(
    workers: Annotated[str, typer.Option(help="How many, joined by commas.")] = "8,64,256,1024",
    strategies: Annotated[str, typer.Option(help="Who proposes, joined by commas.")] = "nsga2",
    generation: Annotated[
        str, typer.Option(help="Its size: a number, or 1x, 4x the workers; joined by commas.")
    ] = "1x,4x",
    generations: Annotated[int, typer.Option(help="Of each search.", min=1)] = 4,
    trial: Annotated[str, typer.Option(help="Mean time of a trial.")] = "60s",
    spread: Annotated[
        float, typer.Option(help="Of the logarithm of that time; 0: all equal.", min=0, max=3)
    ] = 0.4,
    handling: Annotated[
        float, typer.Option(help="Milliseconds a trial that the engine takes on the driver.", min=0)
    ] = 0.0,
    budget: Annotated[str, typer.Option(help="Limits of the networks.")] = DEFAULT.search.budget,
    space: Annotated[str, typer.Option(help="Where networks come from.")] = DEFAULT.search.space,
    seed: Annotated[int, typer.Option(help="Decides the proposals and the times.")] = 0,
) -> None:
    """Where is the driver the limit? The real one, simulated workers, a clock that is advanced.

    Example:  python -m search bench simulate --workers 256,1024 --strategies nsga2,evolution
    """
    torch.set_num_threads(1)
    names = strategies.split(",")
    for name in names:
        known("strategy", name, STRATEGIES)
    shapes = list(_shapes(workers, generation))
    size, kinds = (
        Size(720, 1280),
        objectives(DEFAULT.search.objectives, parse_task(DEFAULT.data.task)),
    )
    feasible = Feasible(find_space(space), TaskShape(scale=2), Budget.parse(budget), size)
    table = Table(*COLUMNS, box=None)
    for name in names:
        for count, together in shapes:
            shape = Shape(
                workers=count,
                generation=together,
                generations=generations,
                trial_s=parse_duration(trial),
                spread=spread,
                handling_s=handling / 1000,
                seed=seed,
            )
            with tempfile.TemporaryDirectory() as folder:
                found = simulated(feasible, kinds, name, shape, Path(folder) / "run")
            row = list(_row(found))
            print(name, *row, file=sys.stderr)
            table.add_row(name, *row)
    Console().print(table)


def _shapes(workers: str, generation: str) -> Iterator[tuple[int, int]]:
    """Workers and candidates of a generation, each with each."""
    for count in (whole("--workers", text) for text in workers.split(",")):
        for text in generation.split(","):
            each = text.strip().endswith("x")
            many = whole("--generation", text.strip().removesuffix("x"))
            yield count, max(2, many * count if each else many)


def _row(found: Simulated) -> Iterator[str]:
    shape = found.shape
    yield from (f"{shape.workers:,}", f"{shape.generation:,}", f"{shape.trials:,}")
    yield from (f"{found.rate:.2f}", f"{shape.workers / shape.trial_s:.2f}")
    shares = (found.efficiency, found.barrier_efficiency, found.driver_busy)
    yield from (f"{share:.1%}" for share in shares)
    yield from (f"{1000 * found.trial_driver_s:.1f}", f"{1000 * found.wall_s / shape.trials:.1f}")
    yield f"{found.limit:,.0f}/s"
