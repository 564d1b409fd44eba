"""`python -m search bench table`, `strategies`, `kills`: searches measured without training."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import fidelities as climbing
from benchmarks import kills as killing
from benchmarks import strategies as comparing
from benchmarks import table as tables
from lightir_core.checkpoints import write_text_atomic
from search.config import known
from search.strategies import STRATEGIES

TABLE = Path("tests/benchmarks/table.json")


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


def strategies(
    names: Annotated[str, typer.Option("--strategies", help="Joined by commas.")] = ",".join(
        STRATEGIES
    ),
    seeds: Annotated[int, typer.Option(help="Searches of each strategy.", min=1)] = 30,
    file: Annotated[Path, typer.Option("--table", help="Of `bench table`.")] = TABLE,
    keep: Annotated[Path, typer.Option(help="Where searches are kept.")] = Path(
        "runs/bench-strategies"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Write the document to this file; sections after it stay.")
    ] = None,
    more: Annotated[
        bool, typer.Option("--more/--so-far", help="Search, or tell only what was searched.")
    ] = True,
) -> None:
    """Strategies against each other on real scores, without training; from a checkout.

    Goes on where it was stopped.

    Example:  python -m search bench strategies --strategies random,nsga2,tpe --seeds 10
    """
    torch.set_num_threads(1)
    chosen = names.split(",")
    for name in chosen:
        known("strategy", name, STRATEGIES)
    found = tables.read_table(file)
    rows = comparing.rows_of(
        found, chosen, seeds, keep, lambda text: print(text, file=sys.stderr), more=more
    )
    text = comparing.head(seeds) + comparing.document(found, rows)
    print(text)
    if out is not None:
        before = out.read_text(encoding="utf-8") if out.exists() else ""
        _, mark, rest = before.partition("\n## ")
        write_text_atomic(out, text + mark + rest)


def fidelities(
    seeds: Annotated[int, typer.Option(help="Searches of each kind.", min=1)] = 30,
    file: Annotated[Path, typer.Option("--table", help="Of `bench table`.")] = TABLE,
    keep: Annotated[Path, typer.Option(help="Where searches are kept.")] = Path(
        "runs/bench-fidelities"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Put the section into this file, in place of an older one.")
    ] = None,
) -> None:
    """Rungs against whole trainings on real scores, without training; from a checkout.

    Goes on where it was stopped.

    Example:  python -m search bench fidelities --seeds 10
    """
    torch.set_num_threads(1)
    found = tables.read_table(file)
    rows = climbing.rows_of(found, seeds, keep, lambda text: print(text, file=sys.stderr))
    text = climbing.document(found, rows, seeds)
    print(text)
    if out is not None:
        before = out.read_text(encoding="utf-8") if out.exists() else ""
        head, _, rest = before.partition(text.splitlines()[0] + "\n")
        _, mark, after = rest.partition("\n## ")
        write_text_atomic(out, f"{head.rstrip()}\n\n{text}{mark}{after}".lstrip())
