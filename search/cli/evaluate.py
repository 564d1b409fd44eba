"""`python -m search evaluate` and `restore`: a network applied to images."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from lightir_core.architecture import Architecture
from lightir_core.checkpoints import load_model
from lightir_core.data.datasets import WAYS, make_pairs, validation_source
from lightir_core.data.images import (
    Image,
    read_gallery,
    read_image,
    shorten,
    to_gray,
    to_pixels,
    to_tensor,
    write_image,
)
from lightir_core.data.metrics import to_eight_bits
from lightir_core.data.tasks import Task, for_gray, parse_task
from lightir_core.devices import find_device
from lightir_core.errors import CheckpointError, DataError
from lightir_core.learning.evaluate import (
    OVERLAP_PX,
    TILE_PX,
    Evaluation,
    has_fixed_tiles,
    score,
    unit,
)
from lightir_core.learning.evaluate import evaluate as score_network
from lightir_core.learning.evaluate import restore as apply
from lightir_core.network import Network
from lightir_core.published.presets import PRESETS
from lightir_core.published.weights import load_file
from search.cli.options import Json
from search.evaluators.score import baseline

FIXED_TILES = (
    f"channel attention pools over the whole input, so its tiles are fixed: images above "
    f"{TILE_PX} pixels are cut into tiles of {TILE_PX}, which are part of the result"
)


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
    """Measure PSNR and SSIM of a network on whole images, beside the plain method's.

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
        measured = score_network(network, pairs, kind, where, kind.metrics, ways=ways)
    if as_json:
        print(json.dumps(_plain(measured, plain, kind), indent=2))
    else:
        Console().print(_table(measured, plain, kind))


def _read(model: str, weights: Path | None) -> Network:
    """Load the network of a model folder, or that of published weights.

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
    """Return the task, in gray for a gray network.

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


def _plain(measured: Evaluation, plain: Evaluation, task: Task) -> dict[str, object]:
    return {
        "mean": measured.mean,
        "images": dict(zip(measured.names, measured.images, strict=True)),
        task.baseline_name: plain.mean,
    }


def _table(measured: Evaluation, plain: Evaluation, task: Task) -> Table:
    names = (*task.metrics, *(f"{task.baseline_name} {metric}" for metric in task.metrics))
    table = Table("image", *names, box=None)
    rows = zip(measured.names, measured.images, plain.images, strict=True)
    for name, mine, theirs in (*rows, ("mean", measured.mean, plain.mean)):
        table.add_row(
            name,
            *(f"{mine[metric]:.4f}" for metric in task.metrics),
            *(f"{theirs[metric]:.4f}" for metric in task.metrics),
        )
    return table


def restore(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="An image or a folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A file, or a folder.")],
    tile: Annotated[int, typer.Option(help="Side of a tile in input pixels.")] = TILE_PX,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Apply a network to an image or a folder, in tiles where an image is large.

    Example:  python -m search restore runs/x/models/0123456789ab photo.png restored.png
    """
    if tile <= 2 * OVERLAP_PX:
        raise DataError(f"--tile {tile} is too small; use more than {2 * OVERLAP_PX} pixels")
    where = find_device(device)
    network = load_model(model).to(where).eval()
    channels = network.architecture.in_channels
    if channels not in (1, 3):
        raise DataError(f"{model} takes images of {channels} channels; images have 3, or 1 in gray")
    if channels == 1:
        print("note: images are read as gray: the network has one channel", file=sys.stderr)
    if has_fixed_tiles(network.architecture):
        print(f"note: {FIXED_TILES}", file=sys.stderr)
        tile = TILE_PX
    images = _read_images(source)
    targets = _targets(source, [image.name for image in images], target)
    for image, out in zip(images, targets, strict=True):
        pixels = to_gray(image.pixels) if channels == 1 else image.pixels
        lq = unit(to_tensor(pixels)).to(where)
        output = apply(network, lq, scale=network.architecture.scale, tile_px=tile)
        write_image(out, to_pixels(to_eight_bits(output)[0].cpu()))
        print(out)


def _read_images(source: Path) -> tuple[Image, ...]:
    """Read the images of a folder, with notes on stderr, or the one in a file."""
    if not source.is_dir():
        return (Image(source.name, read_image(source)),)
    gallery = read_gallery(source)
    for note in gallery.notes:
        print(f"note: {note}", file=sys.stderr)
    return gallery.images


def _targets(source: Path, names: Sequence[str], target: Path) -> list[Path]:
    """Return where each restored image goes: into a folder as PNG, or to the file that was named.

    Raises:
        DataError: an input would be overwritten, or one result by another.
    """
    if source.is_dir() and target.is_file():
        raise DataError(f"{target} is a file; a folder of images needs a folder as OUTPUT")
    into_folder = source.is_dir() or target.is_dir()
    targets = [(target / name).with_suffix(".png") if into_folder else target for name in names]
    inputs = {(source / name if source.is_dir() else source).resolve() for name in names}
    made: dict[Path, str] = {}
    for name, out in zip(names, targets, strict=True):
        if out.resolve() in inputs:
            raise DataError(f"{out} would overwrite its own input; choose another OUTPUT")
        if out in made:
            raise DataError(f"{made[out]} and {name} would both become {out.name}; rename one")
        made[out] = name
    return targets
