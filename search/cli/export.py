"""`python -m search export` and `import`: models as ONNX files, and from published weights."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from lightir_core.checkpoints import save_model
from lightir_core.data.image_source import ImageSource, open_images, whole_images
from lightir_core.data.tasks import Task, parse_task
from lightir_core.errors import CheckpointError, SearchError
from lightir_core.learning.evaluate import evaluate
from lightir_core.onnx import OnnxNetwork, check_installed, export_onnx, quantise
from lightir_core.published.weights import SYSTEMS, infer, load, read_checkpoint
from results.models import RESULT, add_exports, load_result, write_card, write_plain_card
from results.run import RunFolder
from search.cli.options import DataFolders, Json, absolute
from search.compress.job import Parent, check_task, open_model, open_parent

FLOAT_FILE = "model.onnx"
INT8_FILE = "model-int8.onnx"


def export(
    what: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model folder, a run, or RUN#TRIAL.")
    ],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx into the folder.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write model-int8.onnx, calibrated on images.")
    ] = False,
    task: Annotated[
        str | None, typer.Option(help="What it restores; default: as trained, or sr-x2.")
    ] = None,
    data: DataFolders = None,
    val: Annotated[
        Path | None, typer.Option(help="Images to score on; default: held out of --data.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as ONNX, with free height and width, and a model card beside it.

    Example:  python -m search export runs/x/models/0123456789ab --onnx --int8
    """
    if not onnx:
        raise SearchError("nothing to export: say --onnx, and --int8 for a quantised form as well")
    check_installed()
    folder, parent = _find(what)
    source = _source(parent, task, data, val)
    if int8:  # before anything is written
        check_task(parent.network, parent.name, source.task)
        open_images(source)
    made = [export_onnx(parent.network, folder / FLOAT_FILE)]
    print(_sentence(made[0]), file=sys.stderr)
    if int8:
        made.append(_quantised(parent, folder, source))
        print(_sentence(made[1]), file=sys.stderr)
    add_exports(folder, made)
    if (folder / RESULT).is_file():
        write_card(folder, load_result(folder))
    else:
        write_plain_card(folder, parent.network.architecture)
    if as_json:
        print(json.dumps({"folder": str(folder), "exports": made}, indent=2))
    else:
        for entry in made:
            print(folder / entry["file"])


def _find(what: str) -> tuple[Path, Parent]:
    """Return the folder of the model, and the model."""
    path = Path(what.partition("#")[0])
    if not RunFolder(path).journal.is_file():
        return path, open_model(path)
    parent = open_parent(what, None, 0)
    folder = RunFolder(path).model(parent.network.architecture.id)
    if not folder.is_dir():
        raise SearchError(
            f"{what} was not trained to the end, so it has no model folder; compress it or export "
            f"one of {RunFolder(path).models}"
        )
    return folder, parent


def _source(
    parent: Parent, task: str | None, data: list[str] | None, val: Path | None
) -> ImageSource:
    """Return the images that were named, else those of its training, else embedded ones."""
    known = parent.source or ImageSource(task=parse_task("sr-x2"))
    if not data and val is None:
        return replace(known, task=parse_task(task) if task else known.task)
    return ImageSource(
        task=parse_task(task) if task else known.task,
        data=absolute(data),
        val=str(val.resolve()) if val else None,
    )


def _quantised(parent: Parent, folder: Path, source: ImageSource) -> dict[str, Any]:
    """Quantise what lies in the folder and score both forms."""
    task = source.task
    path = folder / INT8_FILE
    quantise(folder / FLOAT_FILE, path, parent.network, open_images(source).training, 0)
    scores = {
        name: _score(OnnxNetwork(folder / name), source, task) for name in (FLOAT_FILE, INT8_FILE)
    }
    return {
        "file": INT8_FILE,
        "precision": "int8 weights and activations; first and last layer float32",
        "bytes": path.stat().st_size,
        **{metric: round(value, 4) for metric, value in scores[INT8_FILE].items()},
        **{f"{m} of float32": round(value, 4) for m, value in scores[FLOAT_FILE].items()},
    }


def _score(network: OnnxNetwork, source: ImageSource, task: Task) -> dict[str, float]:
    cpu = torch.device("cpu")
    return evaluate(network, whole_images(source), task, cpu, task.metrics).mean


def _sentence(entry: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in entry.items())


def import_(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help=f"One of {', '.join(SYSTEMS)}.")],
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="The published .pth file.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.")],
    config: Annotated[
        Path | None,
        typer.Option(help="JSON of the constructor's arguments; default: read off the tensors."),
    ] = None,
) -> None:
    """Make a model folder of published weights; no code in the file is ever run.

    Example:  python -m search import swinir 002_lightweightSR.pth --out models/swinir-light
    """
    if out.exists():
        raise CheckpointError(f"{out} exists already; choose another --out")
    tensors = read_checkpoint(weights)
    network = load(system, _read(config) if config else infer(system, tensors), tensors)
    save_model(out, network)
    print(f"{out}: {sum(p.numel() for p in network.parameters()):,} parameters")


def _read(path: Path) -> dict[str, object]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path} must hold a JSON object of the constructor's arguments")
    return plain
