"""The published systems beside a run: at their own size, shrunk to its budget, and as printed.

`presets.json` in the run folder holds what was counted and trained here. A system at its own size
is counted only. One that was shrunk was trained and scored as every trial of the search was, so its
score may be compared with theirs. What their authors printed (`published/reference_points.csv`,
each row with its source) comes from other data and longer trainings: never points of a chart.
"""

import csv
import dataclasses
import json
from collections.abc import Iterable
from dataclasses import asdict, field, fields
from functools import cache
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lightir_core.errors import ResultsError
from results.run import RunFolder, read_json_object, write_atomic


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Baseline:
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


def write_baselines(run: Path, baselines: Iterable[Baseline]) -> None:
    """Write presets.json, atomically.

    Raises:
        ResultsError: the folder cannot be written.
    """
    text = json.dumps({"presets": [asdict(system) for system in baselines]}, indent=2)
    write_atomic(RunFolder(run).presets, text + "\n")


def read_baselines(run: Path) -> list[Baseline]:
    """Return the published systems of a run; none where they were never counted.

    Raises:
        ResultsError: the file is damaged.
    """
    path = RunFolder(run).presets
    if not path.is_file():
        return []
    plain = read_json_object(path, "the published systems beside a run").get("presets")
    try:
        return _ADAPTER.validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ResultsError(
            f"{path}: {key}: {first['msg']}; delete it, the report can do without"
        ) from None


_ADAPTER: TypeAdapter[list[Baseline]] = TypeAdapter(list[Baseline])

FILE = Path(__file__).parent / "published" / "reference_points.csv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReferencePoint:
    """One published network, everything as printed.

    Attributes:
        task: such as sr-x2.
        network: its name.
        params: parameters, such as 878K; empty if not given.
        macs: multiply-adds, such as 195.6G; empty if not given.
        counting: what those two numbers count.
        trained_on: the training data.
        scores: test sets with their scores.
        protocol: what the scores are.
        source: where the row was read.
    """

    task: str
    network: str
    params: str
    macs: str
    counting: str
    trained_on: str
    scores: str
    protocol: str
    source: str


@cache
def reference_points() -> tuple[ReferencePoint, ...]:
    """Return every row of the file."""
    with FILE.open(newline="", encoding="utf-8") as file:
        names = [f.name for f in fields(ReferencePoint)]
        return tuple(
            ReferencePoint(**{name: row[name] for name in names}) for row in csv.DictReader(file)
        )


def reference_points_for(task: str) -> list[ReferencePoint]:
    """Return the rows of one task; ``denoise:15-50`` gets those of every level between."""
    kind, _, levels = task.partition(",")[0].partition(":")
    low, _, high = levels.partition("-")
    if kind != "denoise" or not levels:
        return [point for point in reference_points() if point.task == kind]
    wanted = (_number(low), _number(high or low))
    return [
        point
        for point in reference_points()
        if point.task.startswith("denoise:")
        and wanted[0] <= _number(point.task.partition(":")[2]) <= wanted[1]
    ]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
