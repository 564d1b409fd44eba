"""`python -m search compare`: several runs against each other, in one report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from results.comparison import RunComparison, rows
from results.report.versus import build_comparison
from search.cli.options import Json

Runs = Annotated[list[Path], typer.Argument(metavar="RUN RUN …", help="Folders of runs.")]


def compare(
    folders: Runs,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("comparison"),
    as_json: Json = False,
) -> None:
    """Fronts and hypervolumes of several runs, and whether they differ by more than chance.

    Runs that differ in nothing but --seed count as one variant; three of each make a test.

    Example:  python -m search compare runs/tpe-0 runs/tpe-1 runs/random-0 runs/random-1
    """
    comparison = build_comparison(folders, out)
    if as_json:
        print(json.dumps(list(rows(comparison)), indent=2))
        return
    console = Console()
    console.print(_table(comparison))
    for contest in comparison.contests:
        console.print(f"{contest.first} against {contest.second}: {contest.verdict}", markup=False)
    console.print(f"report  {out / 'index.html'}", soft_wrap=True, markup=False, highlight=False)


def _table(comparison: RunComparison) -> Table:
    table = Table("run", "variant", "seed", "finished", "hypervolume", box=None)
    for run in comparison.runs:
        table.add_row(
            run.name,
            run.variant,
            run.seed,
            str(len(run.view.finished)),
            f"{100 * run.volume:.1f} %",
        )
    return table
