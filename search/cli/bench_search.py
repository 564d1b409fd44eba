"""`python -m search bench table`, `kills`: searches measured without training."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer

from search.bench import kills as killing
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


def kills(
    count: Annotated[int, typer.Option("--kills", help="How often.", min=1)] = 50,
    trials: Annotated[int, typer.Option(help="Of the search.", min=1)] = 200,
    strategy: Annotated[str, typer.Option(help="Who proposes.")] = "nsga2",
    seed: Annotated[int, typer.Option(help="Decides the search and the moments.")] = 0,
    fidelity: Annotated[str, typer.Option(help="none, asha or hyperband.")] = "none",
) -> None:
    """Kill a search at random moments, over and over: is anything lost, repeated or left behind?

    Example:  python -m search bench kills --kills 50 --strategy tpe
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = killing.measure(
            Path(folder),
            *(strategy, trials, count, seed, fidelity),
            lambda text: print(text, file=sys.stderr),
        )
    print(
        f"{found.kills} kills, {found.trials} trials: {found.lost} finished trials lost, "
        f"{found.zombies} zombies, {found.duplicates} duplicates; "
        f"{'the same trials as' if found.identical else 'OTHER TRIALS THAN'} without kills"
    )
    if found.lost or found.zombies or found.duplicates or not found.identical:
        raise typer.Exit(1)
