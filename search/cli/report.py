"""What `report`, `compare` and `dashboard` do: show what came of runs."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lightir_core.errors import SearchError
from results.comparison import rows
from results.report import page, versus
from results.study import open_storage
from search.cli.printing import print_json, print_path, print_table


def report(folder: Path) -> None:
    """Make the report of a run again and print where it is."""
    print(page.build_report(folder))


def compare(folders: Sequence[Path], out: Path, as_json: bool) -> None:
    """Make the report that compares runs, and print its numbers."""
    comparison = versus.build_comparison(folders, out)
    if as_json:
        print_json(list(rows(comparison)))
        return
    runs = [
        (r.name, r.variant, r.seed, str(len(r.view.finished)), f"{100 * r.volume:.1f} %")
        for r in comparison.runs
    ]
    print_table(("run", "variant", "seed", "finished", "hypervolume"), runs)
    for contest in comparison.contests:
        text = f"{contest.first} against {contest.second}: {contest.verdict}"
        Console().print(text, markup=False)
    print_path("report", out / "index.html")


def dashboard(folder: Path, host: str, port: int) -> None:
    """Serve optuna-dashboard on a run until Ctrl-C.

    Raises:
        SearchError: it is not installed.
    """
    storage = open_storage(folder)
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise SearchError(
            "dashboard needs optuna-dashboard; install the extra: pip install 'lightir[dashboard]'"
        )
    from optuna_dashboard import run_server  # pyright: ignore[reportMissingImports]  an extra

    print(f"http://{host}:{port}/")
    run_server(storage, host=host, port=port)
