"""The folder of a run: where everything in it lies, its configuration, and files written whole.

config.json          everything needed to resume and to repeat
study.journal        the trials (`results.study`)
checkpoints/         trainings under way
models/<id>/         result.json, architecture.json, weights.safetensors, crops (`results.models`)
presets.json         the published systems beside it (`results.models`)
report/index.html    the report, made from the rest
pareto.csv pareto.png pareto.svg pareto.md pareto.tex
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lightir_core.errors import ResultsError
from lightir_core.files import replace_file

FORMAT = "lightir-run"
VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """Names of the files in a run folder; touches none of them."""

    path: Path

    @property
    def config(self) -> Path:
        """Return the configuration, as JSON."""
        return self.path / "config.json"

    @property
    def journal(self) -> Path:
        """Return the trials, as Optuna's journal."""
        return self.path / "study.journal"

    @property
    def checkpoints(self) -> Path:
        """Return where trainings under way keep their state."""
        return self.path / "checkpoints"

    @property
    def models(self) -> Path:
        """Return one folder per network that was trained to the end."""
        return self.path / "models"

    @property
    def report(self) -> Path:
        """Return the report, one self-contained file."""
        return self.path / "report" / "index.html"

    @property
    def presets(self) -> Path:
        """Return the published systems beside the run, counted and perhaps trained."""
        return self.path / "presets.json"

    def pareto(self, suffix: str) -> Path:
        """Return the front as a table or a picture: csv, md, tex, png or svg."""
        return self.path / f"pareto.{suffix}"

    def model(self, model_id: str) -> Path:
        """Return the folder of one model."""
        return self.models / model_id


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write config.json, atomically, with its format and version in front."""
    plain = {"format": FORMAT, "version": VERSION, **config}
    write_atomic(RunFolder(folder).config, json.dumps(plain, indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a run, as `write_config` left it.

    Raises:
        ResultsError: missing, damaged, something else, or of a newer version.
    """
    path = RunFolder(folder).config
    config = read_json_object(path, "the configuration of a run")
    if config.get("format") != FORMAT:
        raise ResultsError(f"{path} is not a run's: expected format {FORMAT!r}")
    version = config.get("version")
    if version != VERSION:
        raise ResultsError(
            f"{path} has version {version!r}; this LightIR reads version {VERSION}"
            + ("; update LightIR" if isinstance(version, int) and version > VERSION else "")
        )
    return config


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`, making its folder; a kill leaves the old file or the new one.

    Raises:
        ResultsError: the folder cannot be made or written, or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    replace_file(path, lambda draft: draft.write_bytes(data), ResultsError)


def remove_drafts(folder: Path) -> int:
    """Remove files that a kill left half written anywhere in `folder`; how many there were.

    Only whoever holds the folder's lock may do that: nobody else is writing then.
    """
    drafts = [path for path in folder.rglob(".*") if path.is_file()]
    for path in drafts:
        path.unlink(missing_ok=True)
    return len(drafts)


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """Return the JSON object in `path`, called `what` in errors.

    Raises:
        ResultsError: no such file, not readable, not JSON, or not an object.
    """
    try:
        data: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultsError(
            f"{path.parent} has no {path.name} ({what}); name a folder that a search made"
        ) from None
    except OSError as error:
        raise ResultsError(f"cannot read {what} {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{what} {path} is not JSON ({error}); restore it from a copy") from None
    if not isinstance(data, dict):
        raise ResultsError(f"{what} {path} holds a {type(data).__name__}, expected an object")
    return cast("dict[str, Any]", data)
