"""Options that several commands share."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lightir_core.errors import SearchError

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only the result.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
Channels = Annotated[int, typer.Option(help="Restore images of 3 channels, or of 1: gray.")]
DataFolders = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="DIR[:WEIGHT]",
        help="Training images; repeatable. Default: embedded ones.",
    ),
]
Device = Annotated[str, typer.Option(help="Use auto, cpu or cuda.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Sizes = Annotated[
    list[str] | None,
    typer.Option(help="Output size, WIDTHxHEIGHT; repeatable."),
]


def absolute(data: Sequence[str] | None) -> tuple[str, ...]:
    """Return the folders as a config must name them that is read from anywhere."""
    from lightir_core.data.layouts import Folder, parse_folder

    folders = [parse_folder(text) for text in data or ()]
    return tuple(str(Folder(folder.path.resolve(), folder.weight)) for folder in folders)


def whole(option: str, text: str) -> int:
    """Read a whole number above 0.

    Raises:
        SearchError: it is none; `option` is named.
    """
    if not text.strip().isdecimal() or not int(text):
        raise SearchError(
            f"{option}: {text!r} is no whole number above 0; write numbers such as 8,64"
        )
    return int(text)


def wholes(option: str, text: str) -> tuple[int, ...]:
    """Read whole numbers above 0, joined by commas; raises as `whole`."""
    return tuple(whole(option, part) for part in text.split(","))


def decimals(option: str, text: str) -> tuple[float, ...]:
    """Read numbers above 0, joined by commas.

    Raises:
        SearchError: one is none; `option` is named.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(0 < number < math.inf for number in numbers):
        raise SearchError(f"{option} {text!r}: use numbers above 0, such as 0.5,60")
    return numbers
