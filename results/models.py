"""A network that was trained to the end or pruned: what it is, costs and achieves.

`models/<id>/result.json` holds this; architecture.json, weights.safetensors and the crops lie
beside it and are written by those who train.
"""

from __future__ import annotations

import json
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lightir_core.architecture import Architecture, from_plain
from lightir_core.errors import ArchitectureError, ResultsError
from results.files import read_json_object, write_atomic
from results.run import RunFolder

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


_ADAPTER: TypeAdapter[ModelResult] = TypeAdapter(ModelResult)


def save_result(run: Path, result: ModelResult) -> Path:
    """Write models/<id>/result.json, atomically; returns its path.

    Raises:
        ResultsError: the id is no plain file name, or the folder cannot be written.
    """
    if result.id != Path(result.id).name or result.id in ("", ".", ".."):
        raise ResultsError(f"model id {result.id!r} is not a plain name; use the architecture's id")
    return write_result(RunFolder(run).model(result.id), result)


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
        raise ResultsError(f"{path}: {_explain(error)}") from None


def load_results(run: Path) -> list[ModelResult]:
    """Every result of a run, by trial number, parents before the pruned; none is an empty list."""
    folders = RunFolder(run).models
    if not folders.is_dir():
        return []
    found = [load_result(f) for f in sorted(folders.iterdir()) if (f / RESULT).is_file()]
    return sorted(found, key=lambda r: (r.trial, r.kind == "pruned", r.id))


def _explain(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']} (got {first['input']!r:.80})"
