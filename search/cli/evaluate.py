"""`python -m search evaluate`: score a network on images, by its task's protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from lightir_core.checkpoints import load_model
from lightir_core.data.datasets import validation_set
from lightir_core.data.tasks import Task, parse_task
from lightir_core.errors import DataError
from lightir_core.learning.evaluate import Evaluation, score
from lightir_core.learning.evaluate import evaluate as score_network
from search.cli.options import Json
from search.config import SearchConfig
from search.evaluators.score import baseline


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    task: Annotated[str, typer.Option(help="What it restores.")] = "sr-x2",
    data: Annotated[
        Path | None, typer.Option(help="Clean images, or pairs; default: embedded photographs.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Json = False,
) -> None:
    """PSNR and SSIM of a network on whole images, beside the plain method's.

    Example:  python -m search evaluate runs/x/models/0123456789ab --data Set5/HR
    """
    kind, where = parse_task(task), SearchConfig(device=device).torch_device
    network = load_model(model).to(where).eval()
    if network.architecture.scale != kind.scale:
        raise DataError(
            f"{model} enlarges by {network.architecture.scale}, but task {task!r} needs "
            f"{kind.scale}; name its own task with --task"
        )
    pairs = validation_set(kind, data)
    plain = Evaluation(
        tuple(pair.name for pair in pairs),
        tuple(score(baseline(kind, pair), pair, kind, kind.metrics) for pair in pairs),
    )
    with torch.inference_mode():
        found = score_network(network, pairs, kind, where, kind.metrics)
    if as_json:
        print(json.dumps(_plain(found, plain, kind), indent=2))
    else:
        Console().print(_table(found, plain, kind))


def _plain(found: Evaluation, plain: Evaluation, task: Task) -> dict[str, object]:
    return {
        "mean": found.mean,
        "images": dict(zip(found.names, found.images, strict=True)),
        task.baseline_name: plain.mean,
    }


def _table(found: Evaluation, plain: Evaluation, task: Task) -> Table:
    names = (*task.metrics, *(f"{task.baseline_name} {metric}" for metric in task.metrics))
    table = Table("image", *names, box=None)
    rows = zip(found.names, found.images, plain.images, strict=True)
    for name, mine, theirs in (*rows, ("mean", found.mean, plain.mean)):
        table.add_row(
            name,
            *(f"{mine[metric]:.4f}" for metric in task.metrics),
            *(f"{theirs[metric]:.4f}" for metric in task.metrics),
        )
    return table
