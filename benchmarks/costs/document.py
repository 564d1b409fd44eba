"""All measurements of the cost model, and the document that tells them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.costs import exactness, memory, sampling, speed, timing
from benchmarks.costs.part import Bench, Part, measure
from benchmarks.harness import More, log
from budgets.latency import device_name
from lightir_core.checkpoints import write_text_atomic
from lightir_core.errors import SearchError, nearest

PARTS = {
    part.name: part
    for part in (
        Part("exact", "Exact", exactness.exact_steps, exactness.exact_summary),
        Part("fvcore", "fvcore on every preset", exactness.fvcore_steps, exactness.fvcore_summary),
        Part("sampling", "Hard by construction", sampling.steps, sampling.summary),
        Part("speed", "Instant", speed.steps, speed.summary),
        Part("memory", "Memory", memory.steps, memory.summary),
        Part("latency", "Latency", timing.steps, timing.summary),
    )
}


def run(
    names: Sequence[str],
    bench: Bench,
    folder: Path,
    file: Path | None,
    tell: Callable[[str], None],
    *,
    more: bool = True,
) -> str:
    """Measure what `folder` does not hold yet; the document, which is also written to `file`.

    Args:
        names: keys of `PARTS`; none is all.
        bench: how much.
        folder: where rows are kept.
        file: of the document; None writes none.
        tell: hears of every row.
        more: whether to measure what is missing, or only to tell what is there.

    Raises:
        SearchError: there is no such part.
    """
    for name in names:
        if name not in PARTS:
            raise SearchError(
                f"part {name!r} is not known{nearest(name, PARTS)}; use {', '.join(PARTS)}"
            )
    sections: list[str] = []
    for name in names or PARTS:
        part = PARTS[name]
        rows, missing = measure(part, bench, folder, tell, more=more)
        command = f"`python -m benchmarks costs --only {name}{_options(bench)}`"
        sections += [f"## {part.title}", "", command, ""]
        if missing:
            sections += [f"{len(rows)} of {len(rows) + missing} steps are measured so far.", ""]
        sections += [*(part.summary(rows) if rows else []), ""]
    text = "\n".join([*_head(bench), *sections])
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(file, text)
    return text


def _options(bench: Bench) -> str:
    seed = f" --seed {bench.seed}" if bench.seed else ""
    return seed + (f" --share {bench.share:g}" if bench.share != 1 else "")


def _head(bench: Bench) -> list[str]:
    cores = len(os.sched_getaffinity(0))
    return [
        "# The cost model, measured",
        "",
        f"`python -m benchmarks costs{_options(bench)}`, seed {bench.seed}, "
        f"{datetime.now(UTC):%Y-%m-%d}; {device_name().rpartition(' x')[0]}, {cores} cores, "
        f"which other programs load as well (load {os.getloadavg()[0]:.1f} at the end), so times "
        f"by the wall clock are upper bounds; Python {platform.python_version()}, torch "
        f"{torch.__version__}. Every row is kept as soon as it is measured; a command that was "
        "stopped goes on where it was.",
        "",
    ]


def costs(
    only: Annotated[
        list[str] | None,
        typer.Option(help="A part: exact, fvcore, sampling, speed, memory, latency; repeatable."),
    ] = None,
    share: Annotated[
        float, typer.Option(help="Of the full numbers, for a quick look.", min=1e-6, max=1)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Decides the networks and draws.")] = 0,
    keep: Annotated[Path, typer.Option(help="Where rows are kept.")] = Path("runs/bench-costs"),
    out: Annotated[Path | None, typer.Option(help="Write the document to this file.")] = None,
    more: More = True,
) -> None:
    """Whether the cost model says the truth, and how fast; goes on where it was stopped.

    Example:  python -m benchmarks costs --out results/published/costs.md
    """
    text = run(only or (), Bench(seed, share), keep, out, log, more=more)
    print(text)
