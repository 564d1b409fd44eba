"""The published systems beside a run: at their own size, and shrunk to its budget and trained.

`presets.json` in the run folder holds this. A system at its own size is counted only. One that was
shrunk was trained as every trial of the search was, and scored on the same crops, so its score may
be compared with theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lightir_core.errors import ResultsError
from results.files import read_json_object, write_atomic
from results.run import RunFolder


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Rival:
    """One published system.

    Attributes:
        name: of the preset.
        cost: what the published network costs.
        shrunk: id of the architecture that keeps the budget, empty if none was made.
        shrunk_cost: what that costs.
        scores: what it reached, empty unless it was trained.
        curve: (step, score) pairs.
        steps: of training.
        seconds: time spent on it.
        reason: why there is no score.
        restart: how its training diverged and was begun again, empty if it did not.
    """

    name: str
    cost: dict[str, float]
    shrunk: str = ""
    shrunk_cost: dict[str, float] = field(default_factory=dict[str, float])
    scores: dict[str, float] = field(default_factory=dict[str, float])
    curve: tuple[tuple[int, float], ...] = ()
    steps: int = 0
    seconds: float = 0.0
    reason: str = ""
    restart: str = ""


def write_rivals(run: Path, rivals: Iterable[Rival]) -> None:
    """Write presets.json, atomically.

    Raises:
        ResultsError: the folder cannot be written.
    """
    text = json.dumps({"presets": [asdict(rival) for rival in rivals]}, indent=2)
    write_atomic(RunFolder(run).rivals, text + "\n")


def read_rivals(run: Path) -> list[Rival]:
    """The published systems of a run; none where they were never counted.

    Raises:
        ResultsError: the file is damaged.
    """
    path = RunFolder(run).rivals
    if not path.is_file():
        return []
    found = read_json_object(path, "the published systems beside a run").get("presets")
    try:
        return _ADAPTER.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultsError(
            f"{path}: {place}: {first['msg']}; delete it, the report can do without"
        ) from None


_ADAPTER: TypeAdapter[list[Rival]] = TypeAdapter(list[Rival])
