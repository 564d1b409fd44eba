"""The model card: README.md in a model's folder, for whoever finds the folder later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from budgets.budget import AXES
from lightir_core.architecture import Architecture
from results.describe import in_words
from results.files import read_json_object, write_atomic
from results.models import ModelResult

CARD = "README.md"
EXPORTS = "exports.json"
NAMES = 12
"""Images that are named; of more only the number is told."""

Export = Mapping[str, Any]
"""One exported file: its name, format, opset and what the check of it gave."""

_TORCH = """\
```python
from pathlib import Path
import torch
from lightir_core.checkpoints import load_model
network = load_model(Path("."))
restored = network(torch.rand(1, {channels}, 48, 64)).clamp(0, 1)
```"""

_ONNX = """\
```python
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
image = np.random.rand(1, {channels}, 48, 64).astype(np.float32)
restored = session.run(None, {{"image": image}})[0].clip(0, 1)
```"""


def write_card(folder: Path, result: ModelResult) -> Path:
    """Write the card of a model with a result; returns its path.

    Raises:
        ResultsError: the folder cannot be written.
    """
    return write_plain_card(folder, result.architecture, result)


def write_plain_card(
    folder: Path, architecture: Architecture, result: ModelResult | None = None
) -> Path:
    """Write the card of any model; without a `result` training and scores are not recorded.

    Raises:
        ResultsError: the folder cannot be written.
    """
    path = folder / CARD
    lines = _card(architecture, result, read_exports(folder))
    write_atomic(path, "\n".join(lines) + "\n")
    return path


def read_exports(folder: Path) -> list[Export]:
    """What was exported into a model's folder, in order."""
    path = folder / EXPORTS
    if not path.is_file():
        return []
    return list(read_json_object(path, "the list of a model's exports").get("exports", []))


def add_exports(folder: Path, exports: Sequence[Export]) -> None:
    """Remember exported files; one with a known name takes the place of the older.

    Raises:
        ResultsError: the folder cannot be written.
    """
    named = {entry["file"]: dict(entry) for entry in (*read_exports(folder), *exports)}
    text = json.dumps({"exports": list(named.values())}, indent=2)
    write_atomic(folder / EXPORTS, text + "\n")


def _card(
    architecture: Architecture, result: ModelResult | None, exports: Sequence[Export]
) -> Iterator[str]:
    yield f"# {architecture.id}"
    yield ""
    yield from _facts(architecture, result)
    if result is not None:
        yield from _scores(result)
        yield from _training(result)
    else:
        yield from ("", "Training, data and scores are not recorded: the weights were imported.")
    yield from _files(exports)
    yield from _loading(architecture, exports)


def _facts(architecture: Architecture, result: ModelResult | None) -> Iterator[str]:
    task = (result.task if result else "") or "not recorded"
    yield f"- task: {task}"
    yield (
        f"- images: {architecture.in_channels} channels in [0, 1] in, {architecture.out_channels} "
        f"out, sides times {architecture.scale}"
    )
    yield f"- architecture: {in_words(architecture)}"
    if result is not None:
        yield f"- costs: {', '.join(_costs(result.cost))}"
        if result.within_budget is not None:
            budget = result.compression.get("budget")
            within = "within" if result.within_budget else "over"
            yield f"- {within} its budget" + (f" of {budget}" if budget else "")


def _costs(cost: Mapping[str, int | float]) -> Iterator[str]:
    yield f"{cost['params']:,} parameters"
    for key, axis in AXES.items():
        if key != "params" and axis.field in cost:
            yield f"{axis.format(cost[axis.field])} {axis.phrase}"


def _scores(result: ModelResult) -> Iterator[str]:
    parent = result.compression.get("parent_scores", {})
    yield from ("", "## Scores", "")
    yield "| mean over the validation images | this model | plain method | unpruned parent |"
    yield "|---|---:|---:|---:|"
    for metric, score in result.scores.items():
        others = (result.baseline.get(metric), parent.get(metric))
        words = ["-" if other is None else f"{other:.4f}" for other in others]
        yield f"| {metric} | {score:.4f} | {words[0]} | {words[1]} |"


def _training(result: ModelResult) -> Iterator[str]:
    yield from ("", "## Data and training", "")
    if result.compression:
        yield from _pruning(result.parent, result.compression)
    if result.steps:
        yield f"- training images: {_names(result.data.get('training', []))}"
    yield f"- validation images: {_names(result.data.get('validation', []))}"
    yield f"- licence of the data: {_licence(result.data)}"
    if result.steps:
        yield f"- last training: {result.steps} steps, {result.seconds:.0f} s"
    else:
        yield "- last training: none"
    if result.recipe:
        yield f"- recipe: {_pairs(result.recipe)}"


def _pruning(parent: str | None, record: Mapping[str, Any]) -> Iterator[str]:
    """What a network was pruned from and how, and what that had been trained on."""
    how = {**record.get("pruning", {}), **record}
    told = [f"{word} {how[word]}" for word in ("importance", "iterations", "seed") if word in how]
    told += [f"{name} of the loss for sparsity before" for name in [how.get("sparsity")] if name]
    told += [f"without {', '.join(how['dropped'])}"] if how.get("dropped") else []
    words = ", ".join(told)
    yield f"- pruned from {parent}" + (f" ({words})" if told else "")
    data = record.get("parent_data", {})
    if not record.get("parent_trained", True):
        yield "- the unpruned parent had no trained weights"
    elif data.get("training"):
        yield f"- the unpruned parent was trained on: {_names(data['training'])}; {_licence(data)}"
    else:
        yield "- training and data of the unpruned parent are not recorded"
    if teaching := record.get("distillation"):
        yield f"- the parent taught: {_pairs(teaching)}"


def _names(names: Sequence[str]) -> str:
    """How many images, and which if they are few."""
    return str(len(names)) + (f": {', '.join(names)}" if 0 < len(names) <= NAMES else "")


def _licence(data: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(data.get("licences", [])) or "the user's own images, their licence applies"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value}" for name, value in values.items() if not isinstance(value, dict)
    )


def _files(exports: Sequence[Export]) -> Iterator[str]:
    if not exports:
        return
    yield from ("", "## Exports", "")
    for entry in exports:
        yield f"- `{entry['file']}`: {_pairs({k: v for k, v in entry.items() if k != 'file'})}"


def _loading(architecture: Architecture, exports: Sequence[Export]) -> Iterator[str]:
    channels = architecture.in_channels
    yield from ("", "## Load it", "", "From this folder, with LightIR installed:", "")
    yield _TORCH.format(channels=channels)
    for entry in exports[:1]:
        yield from ("", "With onnxruntime alone:", "")
        yield _ONNX.format(channels=channels, file=entry["file"])
