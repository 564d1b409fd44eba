"""What `cluster check` and `cluster calibrate` do: look at machines before a run uses them."""

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
import typer

from budgets.assess import reference_size
from budgets.budget import format_count
from budgets.throughput import Measured, Workload, calibrate, recommend, share, time_step
from lightir_core.data.tasks import parse_task
from lightir_core.devices import find_device
from lightir_core.errors import DataError, SearchError
from lightir_core.learning.recipe import PROXY
from search.cli import costs, printing, settings
from search.config import SearchConfig, cpu_count
from search.engines.ray_nodes import (
    NodeReport,
    check_versions,
    connected,
    import_ray,
    inspect_nodes,
)

JOIN_S = 120.0
"""How long nodes that are expected may take to join."""

SLOW = 2.0
"""A node that takes this many times the median of its like is remarked."""

MOST = 16
NETWORK = "swinir-light"


def check(
    address: str,
    nodes: int,
    data: Sequence[str] | None,
    val: Path | None,
    out: Path | None,
    budget: str,
    as_json: bool,
) -> None:
    """Print how ready the nodes of a cluster are.

    Raises:
        DataError: this machine lacks the images.
        Exit: something must be mended.
    """
    task = SearchConfig().data.task
    source = settings.image_source(task, data or None, val)
    for path in source.paths:
        if not path.exists():
            raise DataError(f"{path} is missing on this machine, with which others are compared")
    with gathered(address, nodes):
        network = costs.fitting(NETWORK, task, budget, reference_size(source.task))
        reports = inspect_nodes(source, out, partial(time_step, network, PROXY))
    wrong = problems(reports, nodes)
    if as_json:
        printing.print_json([asdict(report) for report in reports])
    else:
        print_nodes(reports, "as here" if source.paths else "embedded")
        for text in remarks(reports):
            print(f"note: {text}")
        for text in wrong:
            print(f"problem: {text}")
        if not wrong:
            count, cpus = len(reports), sum(report.cpus for report in reports)
            gpus = sum(report.gpus for report in reports)
            print(f"ready: {count} node{'s' * (count != 1)}, {cpus:g} CPUs, {gpus:g} GPUs")
    if wrong:
        raise typer.Exit(1)


@contextmanager
def gathered(address: str, nodes: int, patience_s: float = JOIN_S) -> Iterator[None]:
    """Be connected to a cluster, once so many nodes have joined it or `patience_s` are over.

    Raises:
        SearchError: there is no cluster, or none in time; at once if no nodes are expected.
    """
    deadline, ray = time.monotonic() + (patience_s if nodes else 0.0), import_ray()
    with ExitStack() as stack:
        while not ray.is_initialized() or sum(node["Alive"] for node in ray.nodes()) < nodes:
            late = time.monotonic() >= deadline
            try:
                stack.enter_context(connected(address))
            except SearchError:  # the head may still be starting
                if late:
                    raise
            if late:
                break
            time.sleep(1)
        yield


def problems(reports: Sequence[NodeReport], nodes: int = 0) -> tuple[str, ...]:
    """Return what must be mended before a search can use every node, at least `nodes`."""
    wrong: list[str] = []
    if len(reports) < nodes:
        wrong.append(
            f"{len(reports)} of {nodes} nodes have joined: look into the output of `ray start` on "
            f"the others, and whether they reach the head and have its RAY_AUTH_TOKEN"
        )
    wrong += [f"node {report.name}: {report.fault}" for report in reports if report.fault]
    try:
        check_versions(reports)
    except SearchError as error:
        wrong.append(str(error))
    return tuple(wrong)


def remarks(reports: Sequence[NodeReport]) -> Iterator[str]:
    """Yield what is good to know of a cluster that works."""
    without = [report.name for report in reports if not report.gpus]
    if 0 < len(without) < len(reports):
        yield f"no GPU on {', '.join(without)}: --gpus-per-trial leaves them idle"
    for report in reports:
        like = [
            other.step_seconds
            for other in reports
            if other is not report and other.hardware == report.hardware and other.step_seconds
        ]
        usual_s = statistics.median(like) if like else float("inf")
        if (step_s := report.step_seconds or 0.0) > SLOW * usual_s:
            yield (
                f"node {report.name} needs {1000 * step_s:.0f} ms for a step that takes its like "
                f"{1000 * usual_s:.0f} ms: is it busy with something else?"
            )


def print_nodes(reports: Sequence[NodeReport], seen: str) -> None:
    """Print a line for each node, and the versions that differ from the usual ones."""
    counted = Counter(_versions(report) for report in reports if report.versions)
    (usual, _), *others = counted.most_common() or [("-", 0)]
    rows = [
        (
            report.name,
            f"{report.cpus:g}",
            f"{report.gpus:g}",
            report.hardware or "-",
            f"{1000 * report.step_seconds:.0f} ms" if report.step_seconds else "-",
            "-" if report.error else "; ".join(report.missing) or seen,
            "-" if report.error else "same" if _versions(report) == usual else "others",
        )
        for report in reports
    ]
    printing.print_table(("node", "CPUs", "GPUs", "hardware", "step", "images", "versions"), rows)
    print(f"versions: {usual}")
    for other, _ in others:
        print(f"others:   {other}")


def _versions(report: NodeReport) -> str:
    return ", ".join(f"{name} {version}" for name, version in report.versions.items())


def calibrate_device(
    device: str,
    budget: str,
    system: str,
    task: str,
    data: Sequence[str] | None,
    steps: int,
    most: int,
    seconds: float,
) -> None:
    """Print how many trials at once a device takes, and what to type for the best."""
    used = find_device(device)
    network = costs.fitting(system, task, budget, reference_size(parse_task(task)))
    cores = cpu_count()  # each trial needs one, also to launch kernels
    work = Workload(
        architecture=network,
        source=settings.image_source(task, data or None, None),
        device=str(used),
        steps=steps,
        seconds=seconds,
    )
    rows = calibrate(
        work, most or min(cores, MOST), lambda row: print(_describe(row), file=sys.stderr)
    )
    names = (
        "at once", "trained in", "ms a step", "first step s", "GPU memory", "trials/h", "ratio"
    )  # fmt: skip
    printing.print_table(names, [_cells(row, rows[0].per_hour) for row in rows])
    print(advice(recommend(rows), used))


def _describe(row: Measured) -> str:
    result = row.reason or f"{row.per_hour:,.0f} trials an hour"
    return f"{row.together} at once, {row.variant.name}: {result}"


def _cells(row: Measured, plain_per_hour: float) -> tuple[str, ...]:
    head = (str(row.together), row.variant.name)
    if row.reason is not None:
        return (*head, row.reason)
    return (
        *head,
        f"{1000 * row.step_s:.1f}",
        f"{row.setup_s:.1f}",
        f"{format_count(row.peak_bytes)}B" if row.peak_bytes else "-",
        f"{row.per_hour:,.0f}",
        f"{row.per_hour / plain_per_hour:.2f}",
    )


def advice(best: Measured, device: torch.device) -> str:
    """Return what to type for the trainings that were best."""
    on_gpu, mode = device.type == "cuda", best.variant.launch_mode
    share_of = f"--gpus-per-trial {share(best.together):g} " if on_gpu else ""
    flags = f"--workers {best.together}  (on a cluster: {share_of}--cpus-per-trial 1)"
    before = f"LIGHTIR_LAUNCH={mode} " if mode != "eager" else ""
    return f"use: {before}python -m search run … {flags}"
