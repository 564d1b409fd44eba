"""`python -m search bench …`: measurements of the program itself."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import overhead as overheads
from benchmarks import throughput as throughputs
from benchmarks.costs import document
from benchmarks.costs.part import Bench
from budgets.assess import reference_size
from budgets.budget import Budget
from budgets.price import price
from budgets.units import Size, format_count
from lightir_core.data.tasks import parse_task
from search.cli.preset import fitting
from search.config import SearchConfig
from search.feasible.space import Feasible
from search.objectives import objectives
from search.plan import find_space
from spaces import TaskShape

bench = typer.Typer(help="Measure the program itself.", no_args_is_help=True)
DEFAULT = SearchConfig()


@bench.command()
def costs(
    only: Annotated[
        list[str] | None,
        typer.Option(help="A part: exact, fvcore, sampling, speed, memory, latency; repeatable."),
    ] = None,
    share: Annotated[
        float, typer.Option(help="Of the full numbers, for a quick look.", min=1e-6, max=1)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Decides the networks and draws.")] = 0,
    keep: Annotated[Path, typer.Option(help="Where rows are kept.")] = Path("runs/bench-costs"),
    out: Annotated[Path | None, typer.Option(help="Write the document to this file.")] = None,
    more: Annotated[
        bool, typer.Option("--more/--so-far", help="Measure, or tell only what was measured.")
    ] = True,
) -> None:
    """Whether the cost model says the truth, and how fast; goes on where it was stopped.

    Example:  python -m search bench costs --out results/published/costs.md
    """
    told = document.run(
        only or (), Bench(seed, share), keep, out, lambda t: print(t, file=sys.stderr), more=more
    )
    print(told)


@bench.command()
def overhead(
    trials: Annotated[int, typer.Option(help="No-op trials.", min=8)] = 200,
    strategy: Annotated[str, typer.Option(help="Who proposes: a sampler of Optuna.")] = (
        DEFAULT.search.strategy
    ),
    budget: Annotated[str, typer.Option(help="Limits of the networks.")] = DEFAULT.search.budget,
    space: Annotated[str, typer.Option(help="Where networks come from.")] = DEFAULT.search.space,
    seed: Annotated[int, typer.Option(help="Decides the proposals.")] = 0,
) -> None:
    """What a search costs beside training, a trial, in turns with bare Optuna.

    Bare Optuna has the same sampler and a journal file, and neither budget nor check for repeats.

    Example:  python -m search bench overhead --trials 5000 --strategy nsga2
    """
    size = Size(720, 1280)
    feasible = Feasible(find_space(space), TaskShape(scale=2), Budget.parse(budget), size)
    kinds = objectives(DEFAULT.search.objectives, parse_task(DEFAULT.data.task))
    with tempfile.TemporaryDirectory() as folder:
        pairs = overheads.compare(feasible, kinds, strategy, trials, Path(folder), seed)
    table = Table("after trials", "CPU ms", "bare", "ratio", "wall ms", "bare", "ratio", box=None)
    for pair in pairs:
        ours, bare = pair.ours, pair.bare
        table.add_row(
            f"{pair.trials:,}",
            *(f"{ours.cpu_ms:.1f}", f"{bare.cpu_ms:.1f}", f"{ours.cpu_ms / bare.cpu_ms:.2f}"),
            *(f"{ours.wall_ms:.1f}", f"{bare.wall_ms:.1f}", f"{ours.wall_ms / bare.wall_ms:.2f}"),
        )
    Console().print(table)


@bench.command("data")
def throughput(
    images: Annotated[Path, typer.Option("--data", help="Folder of training images.")],
    tasks: Annotated[str, typer.Option(help="Joined by commas.")] = "sr-x2,denoise,jpeg",
    system: Annotated[str, typer.Option(help="A preset, shrunk to the budget.")] = "compacter",
    budget: Annotated[str, typer.Option(help="Limits of the network.")] = DEFAULT.search.budget,
    steps: Annotated[int, typer.Option(help="Training steps to time.", min=1)] = 10,
    batches: Annotated[int, typer.Option(help="Batches of patches to time.", min=1)] = 200,
) -> None:
    """Are patches ready faster than a training takes them? On one core, folder and packed file.

    Example:  python -m search bench data --data photos/ --tasks sr-x2,denoise,jpeg
    """
    table = Table("task", "network", "folder", "pack", "training", "headroom", box=None)
    for name in tasks.split(","):
        task = parse_task(name)
        network = fitting(system, task.name, budget, reference_size(task))
        with tempfile.TemporaryDirectory() as place:
            found = throughputs.measure(
                task, images, network, Path(place), steps=steps, batches=batches
            )
        params = format_count(price(network, reference_size(task)).params)
        rates = (f"{rate:,.0f}/s" for rate in (found.folder, found.pack, found.training))
        table.add_row(found.task, params, *rates, f"{found.headroom:,.0f} x")
    Console().print(table)
