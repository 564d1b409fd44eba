"""What `data check` and `data pack` do: look at a folder of images, or pack it into one file."""

from dataclasses import asdict
from pathlib import Path

import typer

from lightir_core.data.check import check as look
from lightir_core.data.images import shorten
from lightir_core.data.pack import is_pack, packed_checksum, read_pack, write_pack
from lightir_core.data.tasks import Task, parse_task, with_channels
from lightir_core.errors import DataError
from search.cli.printing import print_json, print_note, print_table


def check(folder: Path, task: str, channels: int, as_json: bool) -> None:
    """Print what a folder, or a packed file, holds for a task.

    Raises:
        DataError: there is no such folder.
        Exit: no image is usable.
    """
    if not folder.exists():
        raise DataError(f"{folder}: there is no such folder")
    checked = look(folder, _task(task, channels))
    if as_json:
        print_json(asdict(checked))
    else:
        print_table((), checked.rows())
        for problem in checked.problems:
            print(f"problem: {problem}")
        for note in shorten(note for note in checked.notes if note not in checked.problems):
            print(f"note: {note}")
    if not checked.is_usable:
        raise typer.Exit(1)


def pack(folder: Path, out: Path, task: str, channels: int) -> None:
    """Decode a folder into one file and print what it holds.

    Raises:
        DataError: something else is in the way.
    """
    if out.exists() and not is_pack(out):
        raise DataError(f"{out} exists already and is no pack; choose another --out")
    kind = _task(task, channels)
    count = write_pack(kind, folder, out)
    packed = read_pack(kind, out)
    for note in shorten(packed.notes):
        print_note(note)
    serves = f"task {kind.kind}" if packed.items[0].lq is not None else "every task"
    print(f"{out}: {count} images, {out.stat().st_size / 2**20:,.1f} MiB, for {serves}")
    print(f"checksum: {packed_checksum(out)}")


def _task(text: str, channels: int) -> Task:
    return parse_task(text if channels == 3 else with_channels(text, channels))
