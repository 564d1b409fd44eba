"""A measurement in steps, each kept as soon as it is done."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightir_core.architecture import Architecture
from lightir_core.seeds import derive
from spaces import SPACES, TaskShape

Row = dict[str, Any]

SHAPES = (TaskShape(1), TaskShape(2), TaskShape(3), TaskShape(4), TaskShape(1, 1, 1))
"""The tasks' shapes: same size, enlargement, gray."""


@dataclass(frozen=True)
class Bench:
    """How much is measured: `share` of the full numbers, decided by `seed`."""

    seed: int = 0
    share: float = 1.0

    def many(self, full: int) -> int:
        """So many of the full number, at least one."""
        return max(1, round(full * self.share))

    def architectures(
        self, count: int, *purpose: str, scale: int | None = None
    ) -> Iterator[Architecture]:
        """Random architectures of the default space, for one purpose."""
        space = SPACES["default"]
        for number in range(count):
            rng = random.Random(derive(self.seed, "bench costs", *purpose, number))
            shape = rng.choice(SHAPES) if scale is None else TaskShape(scale)
            yield space.decode(space.sample(rng), shape)


@dataclass(frozen=True)
class Part:
    """One measurement.

    Attributes:
        name: for `--only`, and of its file.
        title: in the document.
        steps: keys, and what measures each; rows are plain values.
        summary: lines of the document, from all rows.
    """

    name: str
    title: str
    steps: Callable[[Bench], Iterator[tuple[str, Callable[[], Row]]]]
    summary: Callable[[Sequence[Row]], list[str]]


def measure(
    part: Part, bench: Bench, folder: Path, tell: Callable[[str], None], *, more: bool = True
) -> tuple[list[Row], int]:
    """The rows of a part, and how many are missing.

    Args:
        part: what is measured.
        bench: how much.
        folder: holds rows; those that are there are not measured again.
        tell: hears of every new row.
        more: whether to measure what is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{part.name}-{bench.seed}-{bench.share:g}.jsonl"
    kept = dict(_read(file))
    rows: list[Row] = []
    missing = 0
    for key, run in part.steps(bench):
        if key not in kept and not more:
            missing += 1
            continue
        if key not in kept:
            kept[key] = run()
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps([key, kept[key]]) + "\n")
            tell(f"{part.name} {key}: {kept[key]}")
        rows.append(kept[key])
    return rows, missing


def _read(file: Path) -> Iterator[tuple[str, Row]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for line in lines:
        try:
            key, row = json.loads(line)
        except ValueError:
            continue  # the line at which an earlier run was stopped
        yield key, row
