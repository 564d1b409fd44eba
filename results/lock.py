"""One writer for a run folder: an advisory lock that the system frees when its holder dies."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from lightir_core.errors import ResultsError


class RunLock:
    """Holds `flock` on a file of the run folder until `release` or until its process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once.

        Raises:
            ResultsError: another living process holds it, or the folder cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ResultsError(
                f"cannot write to run folder {path.parent}: {error.strerror}; "
                f"choose a folder that you may write to"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise ResultsError(
                f"run folder {path.parent} is in use by process {holder or 'unknown'}; "
                f"wait for it to end, stop it, or choose another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        # Closing the descriptor frees the lock; also when a search that raised forgot to.
        self._close = weakref.finalize(self, os.close, descriptor)

    def release(self) -> None:
        """Let others write; releasing twice does no harm."""
        self._close()
