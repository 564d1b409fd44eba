"""What others have published, for reading beside a run: never points of its chart.

Every row of `published/reference_points.csv` names its source and how its costs were counted.
They come from other data, longer trainings and other conventions than a run's own numbers.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "published" / "reference_points.csv"


@dataclass(frozen=True, kw_only=True)
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
    """Every row of the file."""
    with FILE.open(newline="", encoding="utf-8") as file:
        names = [f.name for f in fields(ReferencePoint)]
        return tuple(
            ReferencePoint(**{name: row[name] for name in names}) for row in csv.DictReader(file)
        )


def reference_points_for(task: str) -> list[ReferencePoint]:
    """The rows of one task; ``denoise:15-50`` gets those of every level between."""
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
