"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout, for machines.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Sizes = Annotated[
    list[str] | None,
    typer.Option(help="Output size, WIDTHxHEIGHT; repeated, limits hold at each of them."),
]
