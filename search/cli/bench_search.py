"""`python -m search bench table`, `bench strategies`: searches measured without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from search.bench import table as tables

TABLE = Path("tests/search/bench/table.json")


def table(
    keep: Annotated[Path, typer.Option(help="Where trainings are kept.")] = Path(
        "runs/bench-table"
    ),
    out: Annotated[Path, typer.Option(help="The file to write.")] = TABLE,
    more: Annotated[
        bool, typer.Option("--more/--so-far", help="Train, or write only what was trained.")
    ] = True,
) -> None:
    """Train every network of a small space, so that searches of it cost nothing; on one core.

    Goes on where it was stopped.

    Example:  nice python -m search bench table
    """
    torch.set_num_threads(1)
    rows = tables.train_table(keep, lambda text: print(text, file=sys.stderr), more=more)
    count = tables.write_table(out, rows)
    print(f"{count} networks in {out}")
