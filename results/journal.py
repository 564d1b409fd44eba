"""Optuna's journal file, made safe against kills, full disks and needless fsyncs."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from lightir_core.errors import ResultsError


class Journal(JournalFileBackend):
    """Optuna's journal backend in which several operations can be one append, one fsync."""

    def __init__(self, path: Path) -> None:
        """Open `path`, which must exist: a reader must never create one."""
        super().__init__(str(path))
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
            self._cut_after_failure()
            raise ResultsError(
                f"cannot write to {self._path}: {error.strerror}; the run is complete up to here: "
                f"make room and resume it"
            ) from error

    @contextmanager
    def one_append(self) -> Generator[None]:
        """Operations inside reach the file together; if one of them fails, none does."""
        self._held = []
        try:
            yield
            logs = self._held
        finally:
            self._held = None
        self.append_logs(logs)

    def _cut_after_failure(self) -> None:
        try:
            cut_torn_tail(self._path)
        except OSError:
            return  # the file is out of reach; opening it again repairs it


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
    """Remove the symbolic link that optuna's own lock leaves behind when its process is killed.

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
