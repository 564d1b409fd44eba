"""Keep checkpoints in a storage that all nodes reach, where they do not share the run folder.

The storage is whatever pyarrow knows: a folder, s3://, gs://, hdfs://.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightir_core.errors import RunFailedError, SearchError, first_line
from search.jobs import Job, Outcome

UPLOAD_S = 1.0
"""Seconds after which a worker looks again whether there is a new state to upload."""


@dataclass(frozen=True)
class CheckpointStorage:
    """Where the files of a run lie.

    `root` is the run folder, an absolute path on the driver's machine.
    """

    address: str
    root: Path

    @property
    def scratch(self) -> Path:
        """Return a worker's folder for them; the same for all workers of a node."""
        name = hashlib.sha256(f"{self.address} {self.root}".encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"lightir-{name}"

    def check(self) -> None:
        """Write a file and delete it.

        Raises:
            SearchError: that is not possible.
        """
        try:
            files, folder = self._open()
            files.create_dir(folder, recursive=True)
            with files.open_output_stream(f"{folder}/.probe") as stream:
                stream.write(b"?")
            files.delete_file(f"{folder}/.probe")
        except (OSError, ValueError, ImportError) as error:
            raise SearchError(
                f"storage {self.address!r} cannot be used: {first_line(error)}; give a folder "
                f"that all nodes share, as an absolute path, or an address such as s3://bucket/runs"
            ) from None

    def send(self, job: Job) -> None:
        """Upload from the run folder what a job begins from."""
        for path in job.inputs:
            self.upload(path, self.root)

    def upload(self, file: Path, root: Path) -> None:
        """Copy a file below `root` into the storage; it is whole there or not at all."""
        from pyarrow import fs

        files, folder = self._open()
        target = f"{folder}/{file.relative_to(root)}"
        files.create_dir(target.rpartition("/")[0], recursive=True)
        fs.copy_files(str(file), f"{target}.new", fs.LocalFileSystem(), files)
        files.move(f"{target}.new", target)

    def download(self, file: Path, root: Path) -> bool:
        """Copy a file below `root` out of the storage; false if it is not there."""
        from pyarrow import fs

        files, folder = self._open()
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            source = f"{folder}/{file.relative_to(root)}"
            fs.copy_files(source, str(new), files, fs.LocalFileSystem())
        except FileNotFoundError:
            return False
        new.replace(file)
        return True

    def remove(self, file: Path, root: Path) -> None:
        """Delete a file from the storage, if it is there."""
        files, folder = self._open()
        with suppress(FileNotFoundError):
            files.delete_file(f"{folder}/{file.relative_to(root)}")

    def _open(self) -> tuple[Any, str]:
        """Return the storage's file system, and the run's folder in it."""
        from pyarrow import fs

        files, path = fs.FileSystem.from_uri(self.address)
        return files, f"{path.rstrip('/')}/{self.root.name}"


def score_stored(work: Callable[[Job], Outcome], storage: CheckpointStorage, job: Job) -> Outcome:
    """Do a job with files from the storage, and upload what it leaves.

    Raises:
        RunFailedError: the storage is full, or cannot be reached.
    """
    here = job.moved(lambda path: storage.scratch / path.relative_to(storage.root))
    state, root = here.state, storage.scratch
    try:
        for path in here.inputs:
            storage.download(path, root)
        if state is not None and not storage.download(state, root):
            state.unlink(missing_ok=True)
        with _uploading(state, storage) if state else nullcontext():
            outcome = work(here)
        if state is not None and not state.exists():
            storage.remove(state, root)
        if here.weights.exists():
            storage.upload(here.weights, root)
            here.weights.unlink()
    except OSError as error:
        raise RunFailedError(
            f"storage {storage.address}: {first_line(error)}; what has finished is kept; make "
            f"room, then go on with `python -m search resume`"
        ) from None
    return outcome


@contextmanager
def _uploading(state: Path, storage: CheckpointStorage) -> Iterator[None]:
    """Upload every new state while a training goes on, and the one that it ends with."""
    over = threading.Event()

    def follow() -> None:
        seen = 0
        while not over.wait(UPLOAD_S):
            with suppress(OSError):  # not kept yet; or no room: the weights will tell in the end
                now = state.stat().st_mtime_ns
                if now != seen:
                    storage.upload(state, storage.scratch)
                    seen = now

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if state.exists():
        storage.upload(state, storage.scratch)
