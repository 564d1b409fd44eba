"""What a run prints in the end: its networks as a table, or as JSON; or how to go on with it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from budgets.units import format_count
from results.models import ModelResult, load_results
from results.run import RunFolder


def tell(folder: Path, *, as_json: bool) -> None:
    """Print the models of the run in `folder` and where its report is."""
    models = [model for model in load_results(folder) if model.kind != "parent"]
    report = RunFolder(folder).report
    if as_json:
        print(json.dumps(_plain(folder, models), indent=2))
        return
    console = Console()
    console.print(_table(models))
    console.print(f"report  {report}", soft_wrap=True, markup=False, highlight=False)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Say how to go on with the run in `folder` when Ctrl-C stops it."""
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted; nothing that was finished is lost", file=sys.stderr)
        if RunFolder(folder).config.exists():
            command = f"python -m search resume {shlex.quote(str(folder))}"
            print(f"go on with:  {command}", file=sys.stderr)
        raise


def _plain(folder: Path, models: list[ModelResult]) -> dict[str, object]:
    return {
        "run": str(folder),
        "report": str(RunFolder(folder).report),
        "models": [
            {
                "id": model.id,
                "kind": model.kind,
                "trial": model.trial,
                "parent": model.parent,
                "cost": model.cost,
                "scores": model.scores,
                "baseline": model.baseline,
                "within_budget": model.within_budget,
                "folder": str(RunFolder(folder).model(model.id)),
            }
            for model in models
        ],
    }


def _table(models: list[ModelResult]) -> Table:
    table = Table(box=None)
    for name in ("network", "how", "parameters", "MACs", "score", "baseline", "gain"):
        table.add_column(name, justify="left" if name in ("network", "how") else "right")
    for model in models:
        metric = next(iter(model.scores))
        score, baseline = model.scores[metric], model.baseline[metric]
        table.add_row(
            model.id,
            model.kind if model.parent is None else f"{model.kind} from {model.parent}",
            f"{model.cost['params']:,}",
            format_count(model.cost["macs"]),
            f"{score:.2f} dB",
            f"{baseline:.2f} dB",
            f"{score - baseline:+.2f} dB",
        )
    return table
