"""Files that are written whole: whatever is killed, a reader sees the old one or the new one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from lightir_core.errors import LightIRError


def replace_file(path: Path, write: Callable[[Path], object], error: type[LightIRError]) -> None:
    """Let `write` fill a file beside `path`, flush it to the disk, and put it in place.

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
            write(draft)
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.chmod(0o644)  # a temporary file is made private
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as cause:
        raise error(
            f"cannot write {path}: {cause.strerror or cause}; make room or choose a folder you may "
            f"write to"
        ) from None
