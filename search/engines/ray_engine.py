"""Run jobs on the nodes of a Ray cluster; the same `run` as that of the local engine.

    driver ─ jobs ─► desk (an actor beside it) ◄─ fetch, bring back ── pilots (trials of Tune)

The driver alone decides what is trained and writes it down; pilots write nothing but checkpoints.
Who dies is told by Tune; what it was doing is done again from its last checkpoint by another.
"""

from __future__ import annotations

import pickle
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from lightir_core.errors import RunFailedError
from search.engines.desk import Done, OpenDesk
from search.engines.pilots import Crew, Ears, OverError, conduct
from search.engines.ray_connection import import_ray

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

ATTEMPTS = 4
"""A job of which so many pilots have died is given up. Nodes are lost more often than processes."""

LISTEN_S = 1.0
"""How long to wait for a result before looking whether everybody is still there."""

GOODBYE_S = 10.0
"""How long pilots may take to go home."""

FRUITLESS = 20
"""Pilots that may die one after the other, for each seat, without any result between."""


class RayEngine(Generic[JobT, ResultT]):
    """Pilots on a cluster that apply `work` to jobs; a context manager within `connected`."""

    def __init__(
        self,
        work: Callable[[JobT], ResultT],
        on_death: Callable[[JobT, tuple[str, ...]], ResultT],
        crew: Crew,
        *,
        storage: str | None = None,
        retried: Callable[[ResultT, tuple[str, ...]], ResultT] | None = None,
        names: Mapping[str, str] | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Start nothing yet.

        Args:
            work: a function that the nodes can import.
            on_death: makes the result of a job whose pilots died `ATTEMPTS` times, with the names
                of the nodes on which they did.
            crew: how many pilots, and what each gets.
            storage: a folder that all nodes share or the address of a bucket, for Tune's own notes;
                None for a temporary folder, which serves where all nodes are on one machine.
            retried: makes the result of a job that was begun again after such losses.
            names: of nodes, by Ray's ids.
            note: told of pilots that are lost.
        """
        self._work, self._on_death, self._crew = work, on_death, crew
        self._storage, self._retried = storage, retried or (lambda result, nodes: result)
        self._names, self._note = dict(names or {}), note
        self._number = self._fruitless = 0
        self._leaving_at: float | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        """Put up the desk beside the driver, and have Tune fill the seats."""
        ray = import_ray()
        here = ray.get_runtime_context().get_node_id()
        pin = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        name = f"desk-{uuid.uuid4().hex}"
        self._scratch = tempfile.TemporaryDirectory(prefix="lightir-ray-")
        self._desk: Any = (
            ray.remote(OpenDesk)
            .options(
                name=name,
                num_cpus=0,
                max_concurrency=10_000,
                scheduling_strategy=pin(here, soft=False),
            )
            .remote(ATTEMPTS)
        )
        self._thread = threading.Thread(target=self._conduct, args=(name,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send the pilots home; at once if something went wrong."""
        self._leaving_at = time.monotonic()
        self._desk.close.remote()
        if error is not None:
            import_ray().kill(self._desk)
        self._thread.join(GOODBYE_S)
        self._scratch.cleanup()

    @property
    def pilots(self) -> int:
        """How many pilots are there by now."""
        return import_ray().get(self._desk.pilots.remote())

    def run(self, jobs: Iterable[JobT | None]) -> Iterator[tuple[JobT, ResultT]]:
        """Results as they come. A job is taken from `jobs` only when a pilot has room for it.

        None in place of a job says that there is none before another result has been taken.

        Raises:
            RunFailedError: the pilots die one after the other, or Tune gave up.
        """
        queue = iter(jobs)
        running: dict[int, JobT] = {}
        while True:
            while len(running) < self._crew.workers and (job := next(queue, None)) is not None:
                self._number += 1
                running[self._number] = job
                self._desk.put.remote(self._number, pickle.dumps(job))
            if not running:
                return
            for done in self._taken():
                job = running.pop(done.number)
                yield job, self._result(job, done)

    def _taken(self) -> list[Done]:
        """What has ended, at least one."""
        ray = import_ray()
        while True:
            if done := ray.get(self._desk.take.remote(LISTEN_S)):
                self._fruitless = 0
                return done
            if self._error is not None:
                raise RunFailedError(f"Ray Tune gave up: {_first_line(self._error)}")
            if self._fruitless > FRUITLESS * self._crew.workers:
                raise RunFailedError(
                    f"{self._fruitless} worker processes died one after the other without any "
                    f"result; look into Ray's logs in /tmp/ray/session_latest/logs"
                )

    def _result(self, job: JobT, done: Done) -> ResultT:
        nodes = tuple(self._name(node) for node in done.losses)
        if done.result is None:
            return self._on_death(job, nodes)
        result, error = pickle.loads(done.result)
        if error is not None:
            raise error
        return self._retried(result, nodes) if nodes else result

    def _conduct(self, desk_name: str) -> None:
        """What Tune's thread does."""
        storage = self._storage or self._scratch.name
        try:
            ears = Ears(self._lost, self._is_over)
            conduct(self._desk, desk_name, self._work, self._crew, storage, ears)
        except OverError:
            return
        except BaseException as error:
            self._error = error

    def _lost(self, seat: int) -> None:
        """Put the lost pilot's job back, and say so."""
        self._fruitless += 1
        loss = import_ray().get(self._desk.lose.remote(seat))
        if loss is not None and loss.number is not None:
            self._note(
                f"a worker on node {self._name(loss.node)} was lost; what it trained goes on "
                f"elsewhere from its last checkpoint"
            )

    def _is_over(self) -> bool:
        return self._leaving_at is not None and time.monotonic() > self._leaving_at + 1

    def _name(self, node: str) -> str:
        return self._names.get(node, node[:6])


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
