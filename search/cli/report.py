"""`python -m search report`, `compare` and `dashboard`: what was found, to look at."""

import importlib.util
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lightir_core.errors import SearchError
from results.comparison import RunComparison, rows
from results.report.page import build_comparison, build_report
from results.study import open_storage
from search.cli.options import Json, RunArgument


def report(folder: RunArgument) -> None:
    """Make the report of a run again, from its folder alone.

    Example:  python -m search report runs/sr-x2-400k-20260101-120000
    """
    print(build_report(folder))


Runs = Annotated[list[Path], typer.Argument(metavar="RUN RUN …", help="Folders of runs.")]


def compare(
    folders: Runs,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("comparison"),
    as_json: Json = False,
) -> None:
    """Compare fronts and hypervolumes of several runs, and tell differences from chance.

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


def dashboard(
    folder: RunArgument,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8080,
) -> None:
    """Open optuna-dashboard on a run, while it goes on or afterwards; Ctrl-C ends it.

    Example:  python -m search dashboard runs/sr-x2-400k-20260101-120000
    """
    storage = open_storage(folder)
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise SearchError(
            "dashboard needs optuna-dashboard; install the extra: pip install 'lightir[dashboard]'"
        )
    from optuna_dashboard import run_server  # pyright: ignore[reportMissingImports]  an extra

    print(f"http://{host}:{port}/")
    run_server(storage, host=host, port=port)
