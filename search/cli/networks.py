"""What `evaluate`, `restore`, `export`, `import` and `compress` do: use a network that is there."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from budgets.assess import Target, reference_size, settings_on
from budgets.budget import AXES, Budget, parse_size
from lightir_core import checkpoints, devices
from lightir_core.architecture import Architecture
from lightir_core.data.datasets import WAYS, make_pairs, validation_source
from lightir_core.data.image_source import ImageSource, open_images, whole_images
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
from lightir_core.errors import CheckpointError, DataError, SearchError
from lightir_core.learning import evaluate as scoring
from lightir_core.learning.evaluate import OVERLAP_PX, TILE_PX, Evaluation, has_fixed_tiles
from lightir_core.network import Network
from lightir_core.onnx import OnnxNetwork, check_installed, export_onnx, quantise
from lightir_core.pruning.recovery import RECOVERY_RECIPES, Distillation
from lightir_core.published.presets import PRESETS
from lightir_core.published.weights import infer, load, load_file, read_checkpoint
from results.models import (
    RESULT,
    ModelResult,
    add_exports,
    load_result,
    write_card,
)
from results.run import RunFolder
from search.cli.printing import print_json, print_note, print_table
from search.cli.settings import image_source
from search.compress import job
from search.compress.prune import Pruning
from search.config import known
from search.evaluators.score import evaluate_baseline

FLOAT_FILE = "model.onnx"
INT8_FILE = "model-int8.onnx"
NO_DATA = "none"

FIXED_TILES = (
    f"channel attention pools over the whole input, so its tiles are fixed: images above "
    f"{TILE_PX} pixels are cut into tiles of {TILE_PX}, which are part of the result"
)


def evaluate(
    model: str,
    task: str,
    data: Path | None,
    weights: Path | None,
    self_ensemble: bool,
    device: str,
    as_json: bool,
) -> None:
    """Print a network's scores on whole images, beside the plain method's."""
    where = devices.find_device(device)
    network = _read_network(model, weights).to(where).eval()
    kind = _fitting(parse_task(task), network.architecture, model)
    if self_ensemble and kind.kind == "demosaic":
        raise DataError("a turned mosaic is another mosaic; leave --self-ensemble out for demosaic")
    if has_fixed_tiles(network.architecture):
        print_note(FIXED_TILES)
    source = validation_source(kind, data)
    for note in shorten(source.notes):
        print_note(note)
    pairs = make_pairs(kind, source)
    plain = evaluate_baseline(kind, pairs)
    with torch.inference_mode():
        ways = WAYS if self_ensemble else (0,)
        measured = scoring.evaluate(network, pairs, kind, where, kind.metrics, ways=ways)
    if as_json:
        images = dict(zip(measured.names, measured.images, strict=True))
        print_json({"mean": measured.mean, "images": images, kind.baseline_name: plain.mean})
    else:
        _print_scores(measured, plain, kind)


def _read_network(model: str, weights: Path | None) -> Network:
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
    return checkpoints.load_model(Path(model))


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
    return for_gray(task) if _channels(architecture, model) == 1 else task


def _channels(architecture: Architecture, model: str | Path) -> int:
    """Return how many channels its images have.

    Raises:
        DataError: no image has so many.
    """
    channels = architecture.in_channels
    if channels not in (1, 3):
        raise DataError(f"{model} takes images of {channels} channels; images have 3, or 1 in gray")
    return channels


def _print_scores(measured: Evaluation, plain: Evaluation, task: Task) -> None:
    names = (*task.metrics, *(f"{task.baseline_name} {metric}" for metric in task.metrics))
    images = zip(measured.names, measured.images, plain.images, strict=True)
    rows = [
        (name, *(f"{scores[metric]:.4f}" for scores in both for metric in task.metrics))
        for name, *both in (*images, ("mean", measured.mean, plain.mean))
    ]
    print_table(("image", *names), rows)


def restore(model: Path, source: Path, target: Path, tile: int, device: str) -> None:
    """Write what a network makes of an image or a folder, and print where."""
    if tile <= 2 * OVERLAP_PX:
        raise DataError(f"--tile {tile} is too small; use more than {2 * OVERLAP_PX} pixels")
    where = devices.find_device(device)
    network = checkpoints.load_model(model).to(where).eval()
    is_gray = _channels(network.architecture, model) == 1
    if is_gray:
        print_note("images are read as gray: the network has one channel")
    if has_fixed_tiles(network.architecture):
        print_note(FIXED_TILES)
        tile = TILE_PX
    images = _read_images(source)
    targets = _targets(source, [image.name for image in images], target)
    for image, out in zip(images, targets, strict=True):
        pixels = to_gray(image.pixels) if is_gray else image.pixels
        lq = scoring.unit(to_tensor(pixels)).to(where)
        output = scoring.restore(network, lq, scale=network.architecture.scale, tile_px=tile)
        write_image(out, to_pixels(to_eight_bits(output)[0].cpu()))
        print(out)


def _read_images(source: Path) -> tuple[Image, ...]:
    """Read the images of a folder, with notes on stderr, or the one in a file."""
    if not source.is_dir():
        return (Image(source.name, read_image(source)),)
    gallery = read_gallery(source)
    for note in gallery.notes:
        print_note(note)
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


def export(
    what: str,
    onnx: bool,
    int8: bool,
    task: str | None,
    data: Sequence[str] | None,
    val: Path | None,
    as_json: bool,
) -> None:
    """Write a model as ONNX into its folder, with its card, and print the files."""
    if not onnx:
        raise SearchError("nothing to export: say --onnx, and --int8 for a quantised form as well")
    check_installed()
    folder, parent = _find_model(what)
    source = image_source(task, data or None, val, parent.source)
    if int8:  # before anything is written
        job.check_task(parent.network, parent.name, source.task)
        open_images(source)
    made = [export_onnx(parent.network, folder / FLOAT_FILE)]
    _print_line(_sentence(made[0]))
    if int8:
        made.append(_quantised(parent, folder, source))
        _print_line(_sentence(made[1]))
    add_exports(folder, made)
    result = load_result(folder) if (folder / RESULT).is_file() else None
    write_card(folder, parent.network.architecture, result)
    if as_json:
        print_json({"folder": str(folder), "exports": made})
    else:
        for entry in made:
            print(folder / entry["file"])


def _find_model(what: str) -> tuple[Path, job.Parent]:
    """Return the folder of the model, and the model."""
    path = Path(what.partition("#")[0])
    if not RunFolder(path).journal.is_file():
        return path, job.open_model(path)
    parent = job.open_parent(what, None, 0)
    folder = RunFolder(path).model(parent.network.architecture.id)
    if not folder.is_dir():
        raise SearchError(
            f"{what} was not trained to the end, so it has no model folder; compress it or export "
            f"one of {RunFolder(path).models}"
        )
    return folder, parent


def _quantised(parent: job.Parent, folder: Path, source: ImageSource) -> dict[str, Any]:
    """Quantise what lies in the folder and score both forms."""
    path = folder / INT8_FILE
    quantise(folder / FLOAT_FILE, path, parent.network, open_images(source).training, 0)
    whole, floats = (_score(OnnxNetwork(file), source) for file in (path, folder / FLOAT_FILE))
    return {
        "file": INT8_FILE,
        "precision": "int8 weights and activations; first and last layer float32",
        "bytes": path.stat().st_size,
        **{metric: round(value, 4) for metric, value in whole.items()},
        **{f"{metric} of float32": round(value, 4) for metric, value in floats.items()},
    }


def _score(network: OnnxNetwork, source: ImageSource) -> dict[str, float]:
    task, images = source.task, whole_images(source)
    return scoring.evaluate(network, images, task, torch.device("cpu"), task.metrics).mean


def _sentence(entry: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in entry.items())


def import_(system: str, weights: Path, out: Path, config: Path | None) -> None:
    """Make a model folder of published weights and print its size."""
    if out.exists():
        raise CheckpointError(f"{out} exists already; choose another --out")
    tensors = read_checkpoint(weights)
    arguments = _read_arguments(config) if config else infer(system, tensors)
    network = load(system, arguments, tensors)
    checkpoints.save_model(out, network)
    print(f"{out}: {sum(p.numel() for p in network.parameters()):,} parameters")


def _read_arguments(path: Path) -> dict[str, object]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path} must hold a JSON object of the constructor's arguments")
    return plain


def compress(
    what: str, budget: str, out: Path, task: str | None, data: Sequence[str] | None,
    val: Path | None, weights: Path | None, importance: str, iterations: int, recipe: str,
    steps: int | None, distil: float, features: float, sparsity: float, at: str | None, seed: int,
    device: str, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Prune a network to a budget, fine-tune it, and print its costs and scores."""
    parent = job.open_parent(what, task, seed, weights)
    without_data = data == [NO_DATA]
    source = image_source(task, () if without_data else data or None, val, parent.source)
    limits = Budget.parse(budget)
    where = devices.find_device(device)
    size = parse_size(at) if at else reference_size(source.task)
    plan = known("recipe", recipe, RECOVERY_RECIPES)
    how = job.Compression(
        target=Target(limits, settings_on(where, (size,))),
        source=source,
        recipe=plan.lasting(steps or plan.steps),
        without_data=without_data,
        pruning=Pruning(importance=importance, iterations=iterations, seed=seed),
        distillation=Distillation(weight=distil, features=features),
        sparsity=sparsity,
        device=where,
        seed=seed,
    )
    if not parent.trained:
        print_note(f"the preset {parent.name} has no trained weights")
    result = job.compress(parent, how, out, (lambda _: None) if quiet else _print_line)
    if as_json:
        names = ("id", "cost", "scores", "baseline", "within_budget", "compression")
        print_json({"folder": str(out), **{name: getattr(result, name) for name in names}})
    else:
        print_table(("", "parent", "pruned", "budget"), _compressed_rows(result, limits))
        print(out)


def _print_line(text: str) -> None:
    print(text, file=sys.stderr)


def _compressed_rows(result: ModelResult, budget: Budget) -> list[tuple[str, ...]]:
    """Return costs and scores before and after."""
    before = result.compression
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(["params", "macs", *(axis for axis, _ in budget.limits)]):
        axis, limit = AXES[name], budget.limit(name)
        was, now = before["parent_cost"][axis.field], result.cost[axis.field]
        used = "" if limit is None else f"{axis.format(limit)}, {now / limit:.2%} used"
        rows.append((name, _cost(name, was), _cost(name, now), used))
    for metric, score in result.scores.items():
        rows.append((metric, f"{before['parent_scores'][metric]:.4f}", f"{score:.4f}", ""))
    return rows


def _cost(name: str, value: float) -> str:
    return f"{value:,}" if name in ("params", "macs") else AXES[name].format(value)
