"""Files that are written whole: whatever is killed, a reader sees the old one or the new one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lightir_core.errors import LightIRError

Made = TypeVar("Made")


def replace_file(path: Path, write: Callable[[Path], Made], error: type[LightIRError]) -> Made:
    """Let `write` fill a file beside `path`, flush it to the disk, and put it in place.

    Returns what `write` returns.

    Args:
        path: of the file; its folder is made if it is not there.
        write: gets the path of an empty file.
        error: what to raise.

    Raises:
        LightIRError: of the given kind: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        draft = Path(name)
        try:
            made = write(draft)
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.chmod(0o644)  # a temporary file is made private
            draft.replace(path)
            return made
        finally:
            draft.unlink(missing_ok=True)
    except OSError as cause:
        raise error(
            f"cannot write {path}: {cause.strerror or cause}; make room or choose a folder you may "
            f"write to"
        ) from None
