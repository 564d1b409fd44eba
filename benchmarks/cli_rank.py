"""`python -m search bench rank`: is a short training worth anything?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli_recipe import publish
from benchmarks.rank import Setting, table, train_all
from benchmarks.recipes.tries import find_recipe
from budgets.assess import reference_size
from budgets.budget import Budget
from budgets.units import parse_count
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY
from search.cli.options import DataFolders, absolute, wholes
from search.config import SearchConfig
from search.feasible.space import Feasible
from search.jobs import Source
from search.plan import find_space
from spaces import TaskShape

DEFAULT = SearchConfig()


def rank(
    count: Annotated[int, typer.Option(help="Networks of all sizes.", min=2)] = 14,
    band: Annotated[str, typer.Option(help="Parameters of further networks; 0: none.")] = "40k",
    banded: Annotated[int, typer.Option(help="How many, up to 10% more or less.")] = 12,
    steps: Annotated[str, typer.Option(help="Short, joined by commas.")] = str(PROXY.steps),
    long: Annotated[int, typer.Option(help="The long length.", min=2)] = 10 * PROXY.steps,
    recipe: Annotated[str, typer.Option(help="A name, or a file.")] = DEFAULT.training.recipe,
    long_recipe: Annotated[
        str | None, typer.Option(help="Of the long length; default: the same.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Limits of the networks.")] = DEFAULT.search.budget,
    space: Annotated[str, typer.Option(help="Where networks come from.")] = DEFAULT.search.space,
    task: Annotated[str, typer.Option(help="What to restore.")] = DEFAULT.data.task,
    data: DataFolders = None,
    val: Annotated[Path | None, typer.Option(help="Folder of validation images.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the networks and trainings.")] = 0,
    keep: Annotated[Path, typer.Option(help="Where trainings are kept.")] = Path("runs/bench-rank"),
    title: Annotated[str, typer.Option(help="Of the section.")] = "Ranking",
    out: Annotated[
        Path | None, typer.Option(help="Put the section into this file, replacing an older.")
    ] = None,
    more: Annotated[
        bool, typer.Option("--more/--so-far", help="Train, or tell only what was trained.")
    ] = True,
) -> None:
    """Does a short training rank networks as a long one does?

    Goes on where it was stopped.

    Example:  python -m search bench rank --count 14 --steps 100,400 --long 4000
    """
    kind = parse_task(task)
    setting = Setting(
        feasible=Feasible(
            find_space(space),
            TaskShape(kind.scale, kind.in_channels, kind.out_channels),
            Budget.parse(budget),
            reference_size(kind),
        ),
        count=count,
        band=parse_count(band),
        banded=banded if parse_count(band) else 0,
        recipe=find_recipe(recipe),
        lengths=_below(long, steps),
        truth=find_recipe(long_recipe or recipe).lasting(long),
        source=Source(task=task, data=absolute(data), val=str(val.resolve()) if val else None),
        seed=seed,
    )
    rows = train_all(setting, keep, lambda text: print(text, file=sys.stderr), more=more)
    publish(title, table(rows, setting.band), out)


def _below(long: int, steps: str) -> tuple[int, ...]:
    lengths = tuple(sorted(set(wholes("--steps", steps))))
    if lengths[-1] >= long:
        raise SearchError(f"--steps {steps}: use lengths below --long, {long}")
    return lengths
