"""`python -m search cluster …`: is a cluster ready, and how many trials does one device take?"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from budgets.assess import reference_size
from budgets.budget import format_count
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.devices import find_device
from lightir_core.errors import DataError
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.step_time import time_step
from search.cli.cost import fitting
from search.cli.options import DataFolders, Json, absolute
from search.config import SearchConfig, cpu_count
from search.engines.calibrate import Measured, Workload, calibrate, recommend, share
from search.engines.ray_nodes import (
    NodeReport,
    gathered,
    inspect_nodes,
    problems,
    remarks,
)

DEFAULT = SearchConfig()
MOST = 16
NETWORK = "swinir-light"

cluster = typer.Typer(help="Check a Ray cluster, or pack one device.", no_args_is_help=True)


@cluster.command()
def check(
    address: Annotated[str, typer.Option(help="auto, or HOST:PORT of the head.")] = "auto",
    nodes: Annotated[
        int, typer.Option(help="Wait until so many have joined, two minutes at most.", min=0)
    ] = 0,
    data: DataFolders = None,
    val: Annotated[Path | None, typer.Option(help="Validation images of the run.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of runs that all nodes are to share.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Of the network whose step is timed.")] = (
        DEFAULT.search.budget
    ),
    as_json: Json = False,
) -> None:
    """Check a Ray cluster: versions, images, GPUs and the time of a training step, by node.

    Ends with 1 when something must be mended, with 2 when there is no cluster.

    Example:  python -m search cluster check --data /scratch/div2k-x2.pack --out /shared/runs
    """
    source = ImageSource(
        task=parse_task(DEFAULT.data.task),
        data=absolute(data),
        val=str(val.resolve()) if val else None,
    )
    for path in source.paths:
        if not path.exists():
            raise DataError(f"{path} is missing on this machine, with which others are compared")
    with gathered(address, nodes):
        task = DEFAULT.data.task
        network = fitting(NETWORK, task, budget, reference_size(parse_task(task)))
        step = partial(time_step, network, PROXY)
        reports = inspect_nodes(source, out, step)
    wrong = problems(reports, nodes)
    if as_json:
        print(json.dumps([asdict(report) for report in reports], indent=2))
    else:
        _page(reports, "as here" if source.paths else "embedded")
        for text in remarks(reports):
            print(f"note: {text}")
        for text in wrong:
            print(f"problem: {text}")
        if not wrong:
            print(_ready(reports))
    if wrong:
        raise typer.Exit(1)


def _page(reports: Sequence[NodeReport], seen: str) -> None:
    table = Table("node", "CPUs", "GPUs", "hardware", "step", "images", "versions", box=None)
    counted = Counter(_versions(report) for report in reports if report.versions)
    (usual, _), *others = counted.most_common() or [("-", 0)]
    for report in reports:
        table.add_row(
            report.name,
            f"{report.cpus:g}",
            f"{report.gpus:g}",
            report.hardware or "-",
            f"{1000 * report.step_seconds:.0f} ms" if report.step_seconds else "-",
            "-" if report.error else "; ".join(report.missing) or seen,
            "-" if report.error else "same" if _versions(report) == usual else "others",
        )
    Console().print(table)
    print(f"versions: {usual}")
    for other, _ in others:
        print(f"others:   {other}")


def _versions(report: NodeReport) -> str:
    return ", ".join(f"{name} {version}" for name, version in report.versions.items())


def _ready(reports: Sequence[NodeReport]) -> str:
    count = len(reports)
    cpus, gpus = sum(report.cpus for report in reports), sum(report.gpus for report in reports)
    return f"ready: {count} node{'s' * (count != 1)}, {cpus:g} CPUs, {gpus:g} GPUs"


@cluster.command("calibrate")
def calibrated(
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULT.machine.device,
    budget: Annotated[str, typer.Option(help="Limits of the network.")] = DEFAULT.search.budget,
    system: Annotated[str, typer.Option(help="A preset, shrunk to the budget.")] = NETWORK,
    task: Annotated[str, typer.Option(help="What to restore.")] = DEFAULT.data.task,
    data: DataFolders = None,
    steps: Annotated[int, typer.Option(help="Training steps of a trial.", min=2)] = PROXY.steps,
    most: Annotated[
        int, typer.Option(help="Trials at once to try; 0: one per core, 16 at most.", min=0)
    ] = 0,
    seconds: Annotated[
        float, typer.Option(help="Of each measurement, after its warm-up.", min=0.1)
    ] = 4.0,
) -> None:
    """Measure how many trials at once a device takes, and how to train them; two minutes or so.

    Run it on a node as it is in use: on another kind of GPU the answer is another.

    Example:  python -m search cluster calibrate --budget 400k
    """
    used = find_device(device)
    network = fitting(system, task, budget, reference_size(parse_task(task)))
    source = ImageSource(task=parse_task(task), data=absolute(data))
    cores = cpu_count()  # each trial needs one, also to launch kernels
    rows = calibrate(
        Workload(
            architecture=network,
            source=source,
            device=str(used),
            steps=steps,
            seconds=seconds,
        ),
        most or min(cores, MOST),
        lambda row: print(_describe(row), file=sys.stderr),
    )
    _show(rows, used)


def _describe(row: Measured) -> str:
    result = row.reason or f"{row.per_hour:,.0f} trials an hour"
    return f"{row.together} at once, {row.variant.name}: {result}"


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
    """Return what to type for the trainings that were best."""
    if device.type != "cuda":
        flags = f"--workers {best.together}  (on a cluster: --cpus-per-trial 1)"
    else:
        flags = f"--gpus-per-trial {share(best.together):g} --cpus-per-trial 1"
    mode = best.variant.launch_mode
    before = f"LIGHTIR_LAUNCH={mode} " if mode != "eager" else ""
    return f"use: {before}python -m search run … {flags}"
