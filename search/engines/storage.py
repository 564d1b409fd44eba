"""Checkpoints by way of a storage that all nodes reach, where they do not share the run folder.

The driver lays down what a training begins from and fetches what it ends with; a worker keeps its
files in a temporary folder and lays down the weights and, while it trains, the state from which
another worker would go on. The storage is whatever pyarrow knows: a folder, s3://, gs://, hdfs://.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightir_core.checkpoints import ARCHITECTURE_FILE, WEIGHTS_FILE
from lightir_core.errors import RunFailedError, SearchError
from search.jobs import Job, Outcome
from search.loop import Engine

NOTES = ".ray"
"""What Tune writes down lies in a folder of this name until the end of a run."""

WATCH_S = 1.0
"""How often a worker looks whether a new state is to be laid down."""


@dataclass(frozen=True)
class Relay:
    """Where the files of a run lie.

    Attributes:
        address: of the storage.
        root: the run folder, an absolute path on the driver's machine.
    """

    address: str
    root: Path

    @property
    def scratch(self) -> Path:
        """A worker's folder for them; the same for all workers of a node."""
        name = hashlib.sha256(f"{self.address} {self.root}".encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"lightir-{name}"

    @property
    def notes(self) -> str:
        """Where Tune's notes go."""
        return f"{self.address.rstrip('/')}/{self.root.name}/{NOTES}"

    def forget_notes(self) -> None:
        """Delete them."""
        files, base = self._open()
        with suppress(OSError):
            files.delete_dir(f"{base}/{NOTES}")

    def check(self) -> None:
        """Write a file and delete it.

        Raises:
            SearchError: that is not possible.
        """
        try:
            files, base = self._open()
            files.create_dir(base, recursive=True)
            with files.open_output_stream(f"{base}/.probe") as stream:
                stream.write(b"?")
            files.delete_file(f"{base}/.probe")
        except (OSError, ValueError, ImportError) as error:
            raise SearchError(
                f"storage {self.address!r} cannot be used: {_first_line(error)}; give a folder "
                f"that all nodes share, as an absolute path, or an address such as s3://bucket/runs"
            ) from None

    def lay_down(self, file: Path, root: Path) -> None:
        """Copy a file below `root` into the storage; it is whole there or not at all."""
        files, base = self._open()
        target = f"{base}/{file.relative_to(root)}"
        files.create_dir(target.rpartition("/")[0], recursive=True)
        with files.open_output_stream(f"{target}.new") as stream:
            stream.write(file.read_bytes())
        files.move(f"{target}.new", target)

    def fetch(self, file: Path, root: Path) -> bool:
        """Copy a file below `root` out of the storage; false if it is not there."""
        files, base = self._open()
        try:
            with files.open_input_stream(f"{base}/{file.relative_to(root)}") as stream:
                content = stream.read()
        except FileNotFoundError:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(content)
        Path(new.name).replace(file)
        return True

    def forget(self, file: Path, root: Path) -> None:
        """Delete a file from the storage, if it is there."""
        files, base = self._open()
        try:
            files.delete_file(f"{base}/{file.relative_to(root)}")
        except FileNotFoundError:
            return

    def _open(self) -> tuple[Any, str]:
        """The storage's file system, and the run's folder in it."""
        from pyarrow import fs

        files, path = fs.FileSystem.from_uri(self.address)
        return files, f"{path.rstrip('/')}/{self.root.name}"


@dataclass(frozen=True)
class Relayed:
    """An engine on nodes that do not see the run folder; its work is `score_relayed`."""

    engine: Engine
    relay: Relay

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """Outcomes as they come, their weights in the run folder."""
        for job, outcome in self.engine.run(job and self._sent(job) for job in jobs):
            if outcome.reason is None and not job.pauses:
                self.relay.fetch(job.weights, self.relay.root)
            yield job, outcome

    def _sent(self, job: Job) -> Job:
        job = with_paths(job, Path.resolve)
        for path in (job.start, job.bank, *_model(job.teacher)):
            if path is not None:
                self.relay.lay_down(path, self.relay.root)
        return job


def score_relayed(work: Callable[[Job], Outcome], relay: Relay, job: Job) -> Outcome:
    """Do a job with files from the storage, and lay down there what it leaves.

    Raises:
        RunFailedError: the storage is full, or cannot be reached.
    """
    try:
        return _relayed(work, relay, job)
    except OSError as error:
        raise RunFailedError(
            f"storage {relay.address}: {_first_line(error)}; what has finished is kept; make room, "
            f"then go on with `python -m search resume`"
        ) from None


def _relayed(work: Callable[[Job], Outcome], relay: Relay, job: Job) -> Outcome:
    here = with_paths(job, lambda path: relay.scratch / path.relative_to(relay.root))
    for path in (here.start, here.bank, *_model(here.teacher)):
        if path is not None:
            relay.fetch(path, relay.scratch)
    if here.state is not None and not relay.fetch(here.state, relay.scratch):
        here.state.unlink(missing_ok=True)
    with _laying_down(here.state, relay):
        outcome = work(here)
    if here.state is not None and not here.state.exists():
        relay.forget(here.state, relay.scratch)
    if here.weights.exists():
        relay.lay_down(here.weights, relay.scratch)
        here.weights.unlink()
    return outcome


def with_paths(job: Job, move: Callable[[Path], Path]) -> Job:
    """The job with all its files elsewhere."""

    def moved(path: Path | None) -> Path | None:
        return None if path is None else move(path)

    return replace(
        job,
        weights=move(job.weights),
        start=moved(job.start),
        teacher=moved(job.teacher),
        bank=moved(job.bank),
        state=moved(job.state),
    )


def _model(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    return [folder / name for name in (ARCHITECTURE_FILE, WEIGHTS_FILE)]


@contextmanager
def _laying_down(state: Path | None, relay: Relay) -> Iterator[None]:
    """Lay every new state down while a training goes on, and the one that it ends with."""
    if state is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(state, relay, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if state.exists():
        relay.lay_down(state, relay.scratch)


def _follow(state: Path, relay: Relay, over: threading.Event) -> None:
    seen = 0
    while not over.wait(WATCH_S):
        try:
            now = state.stat().st_mtime_ns
            if now != seen:
                relay.lay_down(state, relay.scratch)
                seen = now
        except OSError:
            continue  # not kept yet; or no room: the weights will tell in the end


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
