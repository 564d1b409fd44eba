"""`python -m search bench recipe` and `step`: how fast recipes learn, and where the time goes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.recipes.document import Setting, run_races, tables
from benchmarks.recipes.step import measure_steps
from benchmarks.recipes.step import table as step_table
from benchmarks.recipes.systems import SIZES, SYSTEMS, system
from benchmarks.recipes.tries import TRIES, find_try
from budgets.assess import reference_size
from budgets.price import price
from lightir_core.checkpoints import write_text_atomic
from lightir_core.data.tasks import parse_task
from lightir_core.learning.recipe import PROXY
from search.cli.options import DataFolders, absolute, decimals
from search.config import SearchConfig, known
from search.jobs import Source

DEFAULT = SearchConfig()

Val = Annotated[Path | None, typer.Option(help="Folder of validation images.")]
Report = Annotated[
    Path | None, typer.Option("--out", help="Put the section into this file, replacing an older.")
]


def recipe(
    recipes: Annotated[
        str, typer.Option(help=f"Joined by commas: {', '.join(TRIES)}; a name, or a file.")
    ] = "proxy,papers-2e-4,papers-2e-3",
    seconds: Annotated[str, typer.Option(help="Of CPU time, joined by commas.")] = "60",
    kinds: Annotated[str, typer.Option(help="Kinds of network.")] = ",".join(SYSTEMS),
    sizes: Annotated[str, typer.Option(help="Sizes of network.")] = ",".join(SIZES),
    seeds: Annotated[int, typer.Option(help="Races of everything.", min=1)] = 1,
    task: Annotated[str, typer.Option(help="What to restore.")] = DEFAULT.data.task,
    data: DataFolders = None,
    val: Val = None,
    test: Annotated[
        Path | None, typer.Option(help="Folder that trained networks are scored on too.")
    ] = None,
    keep: Annotated[Path, typer.Option(help="Where races are kept.")] = Path("runs/bench-recipe"),
    title: Annotated[str, typer.Option(help="Of the section.")] = "Recipes at equal time",
    out: Report = None,
    more: Annotated[
        bool, typer.Option("--more/--so-far", help="Race, or tell only what was raced.")
    ] = True,
) -> None:
    """Ways to train against each other at equal CPU-seconds of one core, on fixed networks.

    Goes on where it was stopped.

    Example:  python -m search bench recipe --recipes proxy,papers-2e-3 --seconds 30,60
    """
    setting = Setting(
        attempts={name: find_try(name) for name in recipes.split(",")},
        systems=_systems(kinds, sizes),
        seconds=decimals("--seconds", seconds),
        seeds=seeds,
        source=_source(task, data, val),
        test=None if test is None else test.resolve(),
    )
    rows = run_races(setting, keep, _tell, more=more)
    publish(title, tables(rows, setting), out)


def step(
    kinds: Annotated[str, typer.Option(help="Kinds of network.")] = "window,casa,cross-layer",
    sizes: Annotated[str, typer.Option(help="Sizes of network.")] = "90k,400k",
    task: Annotated[str, typer.Option(help="What to restore.")] = DEFAULT.data.task,
    data: DataFolders = None,
    val: Val = None,
    out: Report = None,
) -> None:
    """Where the time of a training step goes, in CPU time of one core.

    Example:  python -m search bench step --kinds window,casa --sizes 90k,400k
    """
    kind, source = parse_task(task), _source(task, data, val)
    measured = []
    for name, size in _systems(kinds, sizes):
        made = system(name, size, kind)
        params = price(made, reference_size(kind)).params
        measured.append((f"{name} {size}", params, measure_steps(made, PROXY, source)))
        _tell(f"{name} {size} measured")
    publish("A training step", step_table(measured, PROXY), out)


def _systems(kinds: str, sizes: str) -> tuple[tuple[str, str], ...]:
    for kind in kinds.split(","):
        known("kind", kind, SYSTEMS)
    for size in sizes.split(","):
        known("size", size, dict.fromkeys(SIZES))
    return tuple((kind, size) for size in sizes.split(",") for kind in kinds.split(","))


def _source(task: str, data: DataFolders, val: Path | None) -> Source:
    return Source(task=task, data=absolute(data), val=str(val.resolve()) if val else None)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def publish(title: str, lines: Sequence[str], file: Path | None) -> None:
    """Print a section, and put it with its command into a document, in place of an older one.

    Args:
        title: of the section.
        lines: of its tables; what else stands in the section of the document is kept.
        file: the document.
    """
    command = f"`python -m search {shlex.join(sys.argv[1:])}`"
    text = "\n".join([f"## {title}", "", command, "", *lines, ""])
    print(text)
    if file is None:
        return
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    head, _, rest = before.partition(f"## {title}\n")
    _, mark, after = rest.partition("\n## ")
    write_text_atomic(file, f"{head.rstrip()}\n\n{text}{mark}{after}".lstrip())
