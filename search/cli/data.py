"""`python -m search data …`: look at a folder of images, or pack it into one file."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lightir_core.data.check import Check
from lightir_core.data.check import check as look
from lightir_core.data.images import shorten
from lightir_core.data.pack import is_pack, packed_checksum, read_pack, write_pack
from lightir_core.data.tasks import Task, parse_task, with_channels
from lightir_core.errors import DataError
from search.cli.options import Channels, Json

data = typer.Typer(help="Check or pack a folder of images.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of images.")]
TaskOption = Annotated[str, typer.Option(help="What the images are for, such as sr-x2.")]


@data.command()
def check(
    folder: Folder, task: TaskOption = "sr-x2", channels: Channels = 3, as_json: Json = False
) -> None:
    """Show what a folder, or a packed file, holds for a task; ends with 1 when no image is usable.

    Example:  python -m search data check photos/ --task denoise
    """
    if not folder.exists():
        raise DataError(f"{folder}: there is no such folder")
    checked = look(folder, _task(task, channels))
    if as_json:
        print(json.dumps(asdict(checked), indent=2))
    else:
        _show(checked)
    if not checked.is_usable:
        raise typer.Exit(1)


@data.command()
def pack(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    task: TaskOption = "sr-x2",
    channels: Channels = 3,
) -> None:
    """Decode a folder once into one file, which a training reads piece by piece from the disk.

    Example:  python -m search data pack DIV2K_train_HR --task sr-x2 --out div2k-x2.pack
    """
    if out.exists() and not is_pack(out):
        raise DataError(f"{out} exists already and is no pack; choose another --out")
    kind = _task(task, channels)
    count = write_pack(kind, folder, out)
    packed = read_pack(kind, out)
    for note in shorten(packed.notes):
        print(f"note: {note}", file=sys.stderr)
    serves = f"task {kind.kind}" if packed.items[0].lq is not None else "every task"
    print(f"{out}: {count} images, {out.stat().st_size / 2**20:,.1f} MiB, for {serves}")
    print(f"checksum: {packed_checksum(out)}")


def _task(text: str, channels: int) -> Task:
    return parse_task(text if channels == 3 else with_channels(text, channels))


def _show(checked: Check) -> None:
    table = Table(box=None, show_header=False)
    for row in checked.rows():
        table.add_row(*row)
    console = Console()
    console.print(table)
    for problem in checked.problems:
        print(f"problem: {problem}")
    for note in shorten(note for note in checked.notes if note not in checked.problems):
        print(f"note: {note}")
