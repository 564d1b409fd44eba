"""Files that are either whole or not there: written beside the target, then moved over it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, cast

from lightir_core.errors import ResultsError


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`, making its folder; a kill leaves the old file or the new one.

    Raises:
        ResultsError: the folder cannot be made or written, or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(0o644)  # mkstemp makes files that only their owner may read
        Path(draft).replace(path)
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def remove_drafts(folder: Path) -> int:
    """Remove files that a kill left half written anywhere in `folder`; how many there were.

    Only whoever holds the folder's lock may do that: nobody else is writing then.
    """
    drafts = [path for path in folder.rglob(".*") if path.is_file()]
    for path in drafts:
        path.unlink(missing_ok=True)
    return len(drafts)


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in `path`, called `what` in errors.

    Raises:
        ResultsError: no such file, not readable, not JSON, or not an object.
    """
    try:
        data: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ResultsError(
            f"{path.parent} has no {path.name} ({what}); name a folder that a search made"
        ) from None
    except OSError as error:
        raise ResultsError(f"cannot read {what} {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{what} {path} is not JSON ({error}); restore it from a copy") from None
    if not isinstance(data, dict):
        raise ResultsError(f"{what} {path} holds a {type(data).__name__}, expected an object")
    return cast("dict[str, Any]", data)


def _unwritable(path: Path, error: OSError) -> ResultsError:
    return ResultsError(
        f"cannot write {path}: {error.strerror}; make room or choose a folder you may write to"
    )
