"""`python -m benchmarks cluster`: what Ray costs, how it scales, what a search survives."""

import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import dispatch, faults
from benchmarks.harness import Out, publish
from benchmarks.options import wholes
from search.config import known

PARTS = ("noop", "scaling", "faults")


def cluster(
    parts: Annotated[str, typer.Option(help="Joined by commas.")] = ",".join(PARTS),
    trials: Annotated[str, typer.Option(help="No-op trials, joined by commas.")] = "40,400",
    workers: Annotated[int, typer.Option(help="Of the no-op trials.", min=1)] = 2,
    limit: Annotated[float, typer.Option(help="Seconds for Ray Tune by itself, each time.")] = 1200,
    scale: Annotated[str, typer.Option(help="Numbers of workers.")] = "1,2,4,8",
    sleep: Annotated[float, typer.Option(help="Seconds of a trial that sleeps.")] = 1.0,
    fault: Annotated[str, typer.Option(help="Joined by commas.")] = ",".join(faults.FAULTS),
    seed: Annotated[int, typer.Option(help="Of the searches that are disturbed.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for the disturbed searches and their logs.")
    ] = None,
    out: Out = None,
) -> None:
    """Trials that do nothing, trials that sleep, and searches that something happens to, on Ray.

    The nodes of the last part have a network of their own each, for which it takes root.

    Example:  python -m benchmarks cluster --parts noop --out results/published/cluster.md
    """
    torch.set_num_threads(1)
    chosen = parts.split(",")
    for part in chosen:
        known("part", part, dict.fromkeys(PARTS))
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        if "noop" in chosen:
            rates = list(dispatch.rates(wholes("--trials", trials), workers, limit))
            publish("## No-op trials", dispatch.rates_document(rates, workers), out)
        if "scaling" in chosen:
            scaled = list(dispatch.scaling(wholes("--scale", scale), sleep))
            publish("## Scaling", dispatch.scaling_document(scaled), out)
        if "faults" in chosen:
            rows = faults.measure(folder, fault.split(","), seed)
            publish("## Faults", faults.document(rows), out)
