"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lightir_core.data.folders import Folder, parse_folder
from lightir_core.learning.restore import TILE_PX

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout, for machines.")]
Channels = Annotated[int, typer.Option(help="3 for colour, 1 for gray images.")]
DataFolders = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="DIR[:WEIGHT]",
        help="Training images; repeatable. Default: embedded ones.",
    ),
]
FIXED_TILES = (
    f"channel attention pools over the whole input, so its tiles are fixed: images above "
    f"{TILE_PX} pixels are cut into tiles of {TILE_PX}, which are part of the result"
)
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Sizes = Annotated[
    list[str] | None,
    typer.Option(help="Output size, WIDTHxHEIGHT; repeatable."),
]


def absolute(data: Sequence[str] | None) -> tuple[str, ...]:
    """The folders as they must stand in a config that is read from another place."""
    folders = [parse_folder(text) for text in data or ()]
    return tuple(str(Folder(folder.path.resolve(), folder.weight)) for folder in folders)
