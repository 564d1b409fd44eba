"""A network that was trained to the end or pruned: what it is, costs and achieves, and its card.

`models/<id>/result.json` holds this; README.md says it to whoever finds the folder later.
architecture.json, weights.safetensors and the crops lie beside and are written by those who train.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from budgets.budget import AXES
from lightir_core.architecture import Architecture, from_plain
from lightir_core.errors import ArchitectureError, ResultsError
from results.describe import describe_architecture
from results.run import RunFolder, read_json_object, write_atomic

FORMAT = "lightir-model"
VERSION = 1
RESULT = "result.json"

# NaN and infinity as text: the file is JSON for everybody, and reads back as it was.
_CONFIG = ConfigDict(extra="ignore", ser_json_inf_nan="strings")


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class ImageScore:
    """Scores of one validation image, the model's and the baseline's."""

    name: str
    scores: dict[str, float]
    baseline: dict[str, float]


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Crop:
    """Names of four PNG files of one spot, in the model's folder, and its scores there.

    Attributes:
        name: of the image, as shown.
        lq: the degraded input; enlarged without smoothing when shown.
        baseline: the plain method's output.
        output: the network's.
        gt: the truth.
        scores: the network's on this crop, may be empty.
        baseline_scores: the baseline's on this crop, may be empty.
    """

    name: str
    lq: str
    baseline: str
    output: str
    gt: str
    scores: dict[str, float] = field(default_factory=dict[str, float])
    baseline_scores: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class ModelResult:
    """One result of a run.

    Attributes:
        id: name of its folder under models/.
        kind: "trained" at full length, or "pruned" from `parent` and fine-tuned; a "parent" was
            trained over budget to be pruned, and is no result.
        trial: number of the trial that found it.
        parent: id of the unpruned model.
        architecture: as counted and exported.
        cost: params, macs and whatever else was counted on the final network.
        scores: mean over the validation images, such as psnr_y in dB and ssim_y.
        baseline: the same for the plain method, such as bicubic.
        within_budget: counted on the final network; None if nobody said.
        images: the same per validation image.
        curve: (step, score) pairs.
        crop_scores: of the weights that were kept, on the crops that trials are scored on.
        seconds: training time.
        steps: of training.
        notes: sentences for the reader.
        crops: pictures before and after.
        task: what it restores.
        data: names of its images, notes and licences, as `config.json` of a run has them.
        recipe: every number that decided its last training.
        compression: how it was pruned: parent, budget, importance, scores and costs before.
        latency: measured milliseconds of a forward pass by output size, WIDTHxHEIGHT.
        device: what that was measured on.
    """

    id: str
    kind: Literal["trained", "pruned", "parent"]
    trial: int
    architecture: Architecture
    cost: dict[str, int | float]
    scores: dict[str, float]
    parent: str | None = None
    baseline: dict[str, float] = field(default_factory=dict[str, float])
    within_budget: bool | None = None
    images: tuple[ImageScore, ...] = ()
    curve: tuple[tuple[int, float], ...] = ()
    crop_scores: dict[str, float] = field(default_factory=dict[str, float])
    seconds: float = 0.0
    steps: int = 0
    notes: tuple[str, ...] = ()
    crops: tuple[Crop, ...] = ()
    task: str = ""
    data: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    recipe: dict[str, Any] = field(default_factory=dict[str, Any])
    compression: dict[str, Any] = field(default_factory=dict[str, Any])
    latency: dict[str, float] = field(default_factory=dict[str, float])
    device: str = ""

    @property
    def comparable(self) -> dict[str, float]:
        """Return its scores as trials have them: on the crops, where that was measured."""
        return {**self.scores, **self.crop_scores}


_ADAPTER: TypeAdapter[ModelResult] = TypeAdapter(ModelResult)


def write_result(folder: Path, result: ModelResult) -> Path:
    """Write result.json into any model folder, atomically; returns its path.

    Raises:
        ResultsError: the folder cannot be written.
    """
    plain = json.loads(_ADAPTER.dump_json(result))
    plain = {"format": FORMAT, "version": VERSION, **plain}
    plain["architecture"] = result.architecture.to_plain()
    path = folder / RESULT
    write_atomic(path, json.dumps(plain, indent=2) + "\n")
    return path


def load_result(folder: Path) -> ModelResult:
    """Read the result.json of one model's folder.

    Raises:
        ResultsError: missing, damaged, of a newer version, or with a wrong value; names it.
    """
    path = folder / RESULT
    plain = read_json_object(path, "the result of a model")
    if plain.get("format") != FORMAT or plain.get("version") != VERSION:
        raise ResultsError(
            f"{path}: expected format {FORMAT!r} version {VERSION}, got "
            f"{plain.get('format')!r} version {plain.get('version')!r}"
        )
    try:
        plain["architecture"] = from_plain(plain.get("architecture"))
        return _ADAPTER.validate_python(plain)
    except ArchitectureError as error:
        raise ResultsError(f"{path}: {error}") from None
    except ValidationError as error:
        first: Any = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ResultsError(f"{path}: {key}: {first['msg']} (got {first['input']!r:.80})") from None


def load_results(run: Path, problems: list[str] | None = None) -> list[ModelResult]:
    """Return every result of a run, if any, by trial number, parents before the pruned.

    Args:
        run: the run folder.
        problems: receives what is wrong with a damaged one, which else is raised.
    """
    results: list[ModelResult] = []
    for path in RunFolder(run).models.glob(f"*/{RESULT}"):
        try:
            results.append(load_result(path.parent))
        except ResultsError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return sorted(results, key=lambda r: (r.trial, r.kind == "pruned", r.id))


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


def write_card(folder: Path, architecture: Architecture, result: ModelResult | None = None) -> Path:
    """Write the card of a model; without a `result` training and scores are not recorded.

    Raises:
        ResultsError: the folder cannot be written.
    """
    path = folder / CARD
    lines = _card(architecture, result, read_exports(folder))
    write_atomic(path, "\n".join(lines) + "\n")
    return path


def read_exports(folder: Path) -> list[Export]:
    """Return what was exported into a model's folder, in order."""
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
    yield f"- architecture: {describe_architecture(architecture)}"
    if result is not None:
        costs = [f"{result.cost['params']:,} parameters"]
        for key, axis in AXES.items():
            if key != "params" and axis.field in result.cost:
                costs.append(f"{axis.format(result.cost[axis.field])} {axis.phrase}")
        yield f"- costs: {', '.join(costs)}"
        if result.within_budget is not None:
            budget = result.compression.get("budget")
            within = "within" if result.within_budget else "over"
            yield f"- {within} its budget" + (f" of {budget}" if budget else "")


def _scores(result: ModelResult) -> Iterator[str]:
    parent = result.compression.get("parent_scores", {})
    yield from ("", "## Scores", "")
    yield "| mean over the validation images | this model | plain method | unpruned parent |"
    yield "|---|---:|---:|---:|"
    for metric, score in result.scores.items():
        others = (result.baseline.get(metric), parent.get(metric))
        cells = ["-" if other is None else f"{other:.4f}" for other in others]
        yield f"| {metric} | {score:.4f} | {cells[0]} | {cells[1]} |"


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
    """Return what a network was pruned from and how, and what that had been trained on."""
    how = {**record.get("pruning", {}), **record}
    details = [f"{key} {how[key]}" for key in ("importance", "iterations", "seed") if key in how]
    details += [f"{how['sparsity']} of the loss for sparsity before"] if how.get("sparsity") else []
    details += [f"without {', '.join(how['dropped'])}"] if how.get("dropped") else []
    yield f"- pruned from {parent}" + (f" ({', '.join(details)})" if details else "")
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
    """Return how many images, and which if they are few."""
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
