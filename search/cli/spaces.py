"""`python -m search spaces`: what can be searched."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from search.config import find_space, format_size
from spaces import SPACES, Dimension, Space


def spaces(
    name: Annotated[
        str | None, typer.Argument(help="A space to show in full, or a file of one.")
    ] = None,
) -> None:
    """List the search spaces, or show the dimensions of one.

    Example:  python -m search spaces default
    """
    console = Console()
    if name is None:
        console.print(_overview())
        return
    space = find_space(name)
    console.print(
        f"{space.name}: {space.summary}\n{format_size(space.size)} points\n", highlight=False
    )
    console.print(_dimensions(space))


def _overview() -> Table:
    table = Table(box=None)
    for column in ("space", "points", "what it is"):
        table.add_column(column, justify="right" if column == "points" else "left")
    for space in SPACES.values():
        table.add_row(space.name, format_size(space.size), space.summary)
    return table


def _dimensions(space: Space) -> Table:
    table = Table(box=None)
    for column in ("dimension", "values", "only when"):
        table.add_column(column)
    for scope, dimensions in (("", space.network), ("stage: ", space.stage)):
        for dimension in dimensions:
            values = " ".join(map(str, dimension.values))
            table.add_row(scope + dimension.name, values, _conditions(dimension))
    return table


def _conditions(dimension: Dimension) -> str:
    return " and ".join(f"{c.name} in {' '.join(map(str, c.values))}" for c in dimension.when)
