"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from lightir_core.errors import SearchError, nearest

Value = TypeVar("Value")

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout, for machines.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]


def lookup(what: str, name: str, table: Mapping[str, Value]) -> Value:
    """The entry called `name`.

    Raises:
        SearchError: there is none; the nearest is named.
    """
    if name not in table:
        raise SearchError(
            f"{what} {name!r} is not known{nearest(name, table)}; use one of {', '.join(table)}"
        )
    return table[name]
