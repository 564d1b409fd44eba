"""Run jobs in worker processes of this machine, each on threads of its own.

How many threads there are changes the last digits of a training, so it must not depend on how many
workers there are.

A worker that dies (killed, out of memory) is replaced and its job tried once more.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import torch

from search.jobs import Job, JobSource, Outcome


class LocalDriver:
    """A pool of `workers` processes that do jobs; a context manager."""

    def __init__(
        self,
        work: Callable[[Job], Outcome],
        on_death: Callable[[Job], Outcome],
        workers: int,
        threads: int = 1,
    ) -> None:
        """Start no process yet: they start with the first job.

        Args:
            work: does a job; a function that a process can import.
            on_death: makes the outcome of a job whose worker died twice.
            workers: processes at the same time.
            threads: that torch uses in each.
        """
        self._work = work
        self._on_death = on_death
        self._workers = workers
        self._threads = threads
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Nothing to do: processes start with the first job."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers; at once if something went wrong."""
        if self._pool is not None:
            _end(self._pool, at_once=error is not None)
            self._pool = None

    def drive(self, source: JobSource) -> None:
        """Run what `source` asks for, each job when a worker is free for it."""
        running: dict[Future[Outcome], Job] = {}
        while True:
            while len(running) < self._workers and (job := source.ask()) is not None:
                running[self._submit(job)] = job
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            lost: list[Job] = []
            for future in done:
                job = running.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    lost.append(job)
                else:
                    source.tell(job, outcome)
            if lost:  # one death breaks the pool for all that was running
                self._pool = None
                for job in (*lost, *running.values()):
                    source.tell(job, self._again(job))
                running.clear()

    def _again(self, job: Job) -> Outcome:
        """Run a job whose pool broke once more, alone, so that the guilty one is known."""
        try:
            return self._submit(job).result()
        except BrokenProcessPool:
            self._pool = None
            return self._on_death(job)

    def _submit(self, job: Job) -> Future[Outcome]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_prepare_worker,
                initargs=(os.getpid(), self._threads),
            )
        with _without_interrupts():  # a process that starts here keeps them blocked
            return self._pool.submit(self._work, job)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back until the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(parent: int, threads: int) -> None:
    """Pin the threads, leave Ctrl-C to the parent, and die with it."""
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """End this process when its parent is gone: a killed search leaves no orphans."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _end(pool: ProcessPoolExecutor, *, at_once: bool) -> None:
    if not at_once:
        pool.shutdown(cancel_futures=True)
        return
    for process in list((pool._processes or {}).values()):  # no public way to stop a task
        process.terminate()  # the pool clears up by itself; told to, it would write to closed pipes
