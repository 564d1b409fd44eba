"""`python -m search cluster …`: is a cluster ready, and how many trials does one device take?"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from budgets.units import format_count
from lightir_core.data.tasks import parse_task
from search.cli.options import DataFolders, absolute
from search.cli.preset import fitting
from search.config import SearchConfig
from search.evaluators.job import Source
from search.packing import Measured, Task, calibrate, recommend, share
from search.terms import reference_size

DEFAULT = SearchConfig()
MOST = 16

cluster = typer.Typer(help="Check a Ray cluster, or pack one device.", no_args_is_help=True)


@cluster.command("calibrate")
def calibrated(
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULT.device,
    budget: Annotated[str, typer.Option(help="Limits of the network.")] = DEFAULT.budget,
    system: Annotated[str, typer.Option(help="A preset, shrunk to the budget.")] = "swinir-light",
    task: Annotated[str, typer.Option(help="What to restore.")] = DEFAULT.task,
    data: DataFolders = None,
    steps: Annotated[int, typer.Option(help="Training steps of a trial.", min=2)] = DEFAULT.steps,
    most: Annotated[
        int, typer.Option(help="Trials at once to try; 0: one per core, 16 at most.", min=0)
    ] = 0,
    seconds: Annotated[
        float, typer.Option(help="Of each measurement, after its warm-up.", min=0.1)
    ] = 4.0,
) -> None:
    """How many trials at once one device takes, and how to train them; about two minutes.

    Run it on a node as it is in use: on another kind of GPU the answer is another.

    Example:  python -m search cluster calibrate --budget 400k
    """
    place = SearchConfig(device=device).torch_device
    network = fitting(system, task, budget, reference_size(parse_task(task)))
    source = Source(task=task, data=absolute(data))
    cores = len(os.sched_getaffinity(0))  # each trial needs one, also to launch kernels
    rows = calibrate(
        Task(
            architecture=network,
            source=source,
            device=str(place),
            steps=steps,
            seconds=seconds,
        ),
        most or min(cores, MOST),
        lambda row: print(_told(row), file=sys.stderr),
    )
    _show(rows, place)


def _told(row: Measured) -> str:
    found = row.reason or f"{row.per_hour:,.0f} trials an hour"
    return f"{row.together} at once, {row.variant.name}: {found}"


def _show(rows: list[Measured], device: torch.device) -> None:
    plain = rows[0].per_hour
    table = Table(
        "at once", "trained in", "ms a step", "first step s", "GPU memory", "trials/h", "ratio",
        box=None,
    )  # fmt: skip
    for row in rows:
        if row.reason is not None:
            table.add_row(str(row.together), row.variant.name, row.reason)
            continue
        table.add_row(
            str(row.together),
            row.variant.name,
            f"{1000 * row.step_s:.1f}",
            f"{row.setup_s:.1f}",
            f"{format_count(row.peak_bytes)}B" if row.peak_bytes else "-",
            f"{row.per_hour:,.0f}",
            f"{row.per_hour / plain:.2f}",
        )
    Console().print(table)
    print(advice(recommend(rows), device))


def advice(best: Measured, device: torch.device) -> str:
    """What to type for the trainings that were found best."""
    if device.type != "cuda":
        flags = f"--workers {best.together}  (on a cluster: --cpus-per-trial 1)"
    else:
        flags = f"--gpus-per-trial {share(best.together):g} --cpus-per-trial 1"
    launch = best.variant.launch
    before = f"LIGHTIR_LAUNCH={launch} " if launch != "eager" else ""
    return f"use: {before}python -m search run … {flags}"
