"""`python -m search bench compression`: is pruning worth it?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import compression as comparing
from lightir_core.checkpoints import write_text_atomic
from lightir_core.data.tasks import parse_task
from search.cli.options import DataFolders, absolute, decimals
from search.jobs import Source


def compression(
    seeds: Annotated[int, typer.Option(help="Repetitions.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Of the parent, before pruning.", min=1)] = 450,
    finish: Annotated[int, typer.Option(help="After pruning.", min=1)] = 450,
    cuts: Annotated[str, typer.Option(help="Shares that go, joined by commas.")] = "0.23,0.3,0.5",
    width: Annotated[int, typer.Option(help="Of the parent; a multiple of 4.", min=4)] = 32,
    task: Annotated[str, typer.Option(help="What to restore.")] = "sr-x2",
    data: DataFolders = None,
    val: Annotated[Path | None, typer.Option(help="Folder of validation images.")] = None,
    out: Annotated[Path, typer.Option(help="Where finished trainings are kept.")] = Path(
        "runs/bench-compression"
    ),
    report: Annotated[Path | None, typer.Option(help="Also write the table to this file.")] = None,
) -> None:
    """A pruned and fine-tuned network against the same one from scratch, and other prunings.

    Every way trains equally long. Stopped, it goes on where it was.

    Example:  python -m search bench compression --data photos/ --report compression.md
    """
    parse_task(task)
    source = Source(
        task=task,
        data=absolute(data),
        val=str(val.resolve()) if val else None,
    )
    setting = comparing.Setting(
        source=source,
        width=width,
        steps=steps,
        finish=finish,
        cuts=decimals("--cuts", cuts),
        folder=out,
    )
    rows: list[comparing.Row] = []
    for row in comparing.measure(setting, range(seeds)):
        rows.append(row)
        told = f"seed {row.seed} {row.way} -{row.cut:.0%}: {row.params:,}, {row.score:.3f} dB"
        print(told, file=sys.stderr, flush=True)
    command = shlex.join(["python", "-m", "search", *sys.argv[1:]])
    text = comparing.report(setting, rows, command)
    if report is not None:
        write_text_atomic(report, text)
    print(text, end="")
