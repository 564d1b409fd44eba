"""Optuna's journal file, safe against kills, full disks and needless fsyncs; the lock of a run."""

import inspect
import json
import os
import weakref
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from lightir_core.errors import ResultsError

_OPTIONS: dict[str, Any] = (
    # filelock 3.12 and later: whichever thread releases it, the lock is the process's
    {"thread_local": False} if "thread_local" in inspect.signature(BaseFileLock).parameters else {}
)


class RunLock:
    """Holds the lock of a run folder until `release` or until its process ends, however it ends.

    The process number stands in a file of its own, as whoever tries the lock empties the lock file.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock at once.

        Raises:
            ResultsError: another living process holds it, or the folder cannot be written.
        """
        lock, holder = FileLock(path, mode=0o644, **_OPTIONS), path.with_suffix(".pid")
        try:
            lock.acquire(timeout=0)
            holder.write_text(f"{os.getpid()}\n")
        except Timeout:
            pid = holder.read_text().strip() if holder.is_file() else ""
            raise ResultsError(
                f"run folder {path.parent} is in use by process {pid or 'unknown'}; "
                f"wait for it to end, stop it, or choose another folder"
            ) from None
        except OSError as error:
            raise ResultsError(
                f"cannot write to run folder {path.parent}: {error.strerror}; "
                f"choose a folder that you may write to"
            ) from None
        # Also when a search that raised forgot to release it.
        self._free = weakref.finalize(self, _free, lock, holder)

    def release(self) -> None:
        """Let others write; releasing twice does no harm."""
        self._free()


def _free(lock: BaseFileLock, holder: Path) -> None:
    holder.unlink(missing_ok=True)
    lock.release(force=True)


class Journal(JournalFileBackend):
    """Optuna's journal backend in which several operations can be one append, one fsync."""

    def __init__(self, path: Path) -> None:
        """Open `path`, which must exist: a reader must never create one."""
        super().__init__(str(path), JournalFileOpenLock(str(path)))
        self._path = path
        self._held: list[dict[str, Any]] | None = None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append `logs`, or keep them for the end of `one_append`.

        Raises:
            ResultsError: the disk is full or the file not writable; nothing was appended.
        """
        if self._held is not None:
            self._held.extend(logs)
            return
        try:
            super().append_logs(logs)
        except OSError as error:
            with suppress(OSError):  # out of reach: opening the file again repairs it
                cut_torn_tail(self._path)
            raise ResultsError(
                f"cannot write to {self._path}: {error.strerror}; the run is complete up to here: "
                f"make room and resume it"
            ) from error

    @contextmanager
    def one_append(self) -> Generator[None]:
        """Let operations inside reach the file together; if one of them fails, none does."""
        self._held = []
        try:
            yield
            logs = self._held
        finally:
            self._held = None
        self.append_logs(logs)


def cut_torn_tail(path: Path) -> int:
    """Remove a last line that a kill left unfinished; returns the number of bytes removed.

    Only one damaged line at the very end is cut: a file damaged anywhere else is not repaired by
    losing what follows.
    """
    content = path.read_bytes()
    end = len(content)
    whole = content.rfind(b"\n") + 1
    if whole == end and whole > 0:
        start = content.rfind(b"\n", 0, whole - 1) + 1
        whole = whole if _is_json(content[start:whole]) else start
    if whole == end or (whole == 0 and end > 0):
        return 0
    with path.open("r+b") as file:
        file.truncate(whole)
    return end - whole


def drop_stale_lock(path: Path) -> None:
    """Remove the file that optuna's own lock leaves behind when its process is killed.

    Optuna would wait 30 seconds for it. Whoever holds the run's lock knows that no other
    searcher is alive.
    """
    path.with_name(path.name + ".lock").unlink(missing_ok=True)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
