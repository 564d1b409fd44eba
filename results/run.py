"""The folder of a run: where everything in it lies, and its configuration.

config.json          everything needed to resume and to repeat
study.journal        the trials (`results.study`)
checkpoints/         trainings under way
models/<id>/         result.json, architecture.json, weights.safetensors, crops (`results.models`)
presets.json         the published systems beside it (`results.baselines`)
report/index.html    the report, made from the rest
pareto.csv pareto.png pareto.svg pareto.md pareto.tex
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightir_core.errors import ResultsError
from results.files import read_json_object, write_atomic

FORMAT = "lightir-run"
VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """Names of the files in a run folder; touches none of them."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration, as JSON."""
        return self.path / "config.json"

    @property
    def journal(self) -> Path:
        """The trials, as Optuna's journal."""
        return self.path / "study.journal"

    @property
    def checkpoints(self) -> Path:
        """Where trainings under way keep their state."""
        return self.path / "checkpoints"

    @property
    def models(self) -> Path:
        """One folder per network that was trained to the end."""
        return self.path / "models"

    @property
    def report(self) -> Path:
        """The report, one self-contained file."""
        return self.path / "report" / "index.html"

    @property
    def rivals(self) -> Path:
        """The published systems beside the run, counted and perhaps trained."""
        return self.path / "presets.json"

    def pareto(self, suffix: str) -> Path:
        """The front as a table or a picture: csv, md, tex, png or svg."""
        return self.path / f"pareto.{suffix}"

    def model(self, model_id: str) -> Path:
        """The folder of one model."""
        return self.models / model_id


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write config.json, atomically, with its format and version in front."""
    plain = {"format": FORMAT, "version": VERSION, **config}
    write_atomic(RunFolder(folder).config, json.dumps(plain, indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run, as `write_config` left it.

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
