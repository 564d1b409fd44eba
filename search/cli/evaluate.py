"""`python -m search evaluate`: score a network on images, by its task's protocol."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from lightir_core.architecture import Architecture
from lightir_core.checkpoints import load_model
from lightir_core.data.datasets import make_pairs, validation_source
from lightir_core.data.dihedral import WAYS
from lightir_core.data.images import shorten
from lightir_core.data.tasks import Task, for_gray, parse_task
from lightir_core.errors import CheckpointError, DataError
from lightir_core.learning.evaluate import Evaluation, score
from lightir_core.learning.evaluate import evaluate as score_network
from lightir_core.learning.tiling import has_fixed_tiles
from lightir_core.network import Network
from lightir_core.published.presets import PRESETS
from lightir_core.published.weights import load_file
from search.cli.options import FIXED_TILES, Json
from search.devices import find_device
from search.evaluators.score import baseline


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model folder, or with --weights a preset."),
    ],
    task: Annotated[str, typer.Option(help="What it restores.")] = "sr-x2",
    data: Annotated[
        Path | None, typer.Option(help="Clean images, or pairs; default: embedded photographs.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A preset's published weights, a .pth file.")
    ] = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="Mean over eight turned forms of each image.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Json = False,
) -> None:
    """PSNR and SSIM of a network on whole images, beside the plain method's.

    Example:  python -m search evaluate runs/x/models/0123456789ab --data Set5/HR
    """
    where = find_device(device)
    network = _read(model, weights).to(where).eval()
    kind = _fitting(parse_task(task), network.architecture, model)
    if self_ensemble and kind.kind == "demosaic":
        raise DataError("a turned mosaic is another mosaic; leave --self-ensemble out for demosaic")
    if has_fixed_tiles(network.architecture):
        print(f"note: {FIXED_TILES}", file=sys.stderr)
    source = validation_source(kind, data)
    for note in shorten(source.notes):
        print(f"note: {note}", file=sys.stderr)
    pairs = make_pairs(kind, source)
    plain = Evaluation(
        tuple(pair.name for pair in pairs),
        tuple(score(baseline(kind, pair), pair, kind, kind.metrics) for pair in pairs),
    )
    with torch.inference_mode():
        ways = WAYS if self_ensemble else (0,)
        found = score_network(network, pairs, kind, where, kind.metrics, ways=ways)
    if as_json:
        print(json.dumps(_plain(found, plain, kind), indent=2))
    else:
        Console().print(_table(found, plain, kind))


def _read(model: str, weights: Path | None) -> Network:
    """The network of a model folder, or that of published weights.

    Raises:
        CheckpointError: neither, or a preset whose weights are missing.
    """
    if weights is not None:
        return load_file(model, weights)
    if model in PRESETS and not Path(model).exists():
        raise CheckpointError(
            f"{model} is a preset without weights; give its published file with --weights, or a "
            "model folder"
        )
    return load_model(Path(model))


def _fitting(task: Task, architecture: Architecture, model: str) -> Task:
    """The task, in gray for a gray network.

    Raises:
        DataError: the network does something else.
    """
    if architecture.scale != task.scale:
        raise DataError(
            f"{model} enlarges by {architecture.scale}, but task {task.name!r} needs "
            f"{task.scale}; name its own task with --task"
        )
    if architecture.in_channels not in (1, 3):
        raise DataError(
            f"{model} takes images of {architecture.in_channels} channels; images have 3, or 1 in "
            "gray"
        )
    return for_gray(task) if architecture.in_channels == 1 else task


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
