"""Run jobs in worker processes of this machine; on a GPU many trainings share one of them.

How many threads there are changes the last digits of a training, so it must not depend on how many
workers there are.

A GPU is busy only while many small networks are trained on it at once, and it works for one
process at a time: so a worker that has one trains several networks, a thread and a stream each.

A worker that dies (killed, out of memory) is replaced and its jobs are tried once more, alone. So
is a job that ran out of memory beside others.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import torch

from search.jobs import Job, JobSource, Outcome

Work = Callable[[Job], Outcome]


class LocalDriver:
    """Processes of this machine that do jobs; a context manager."""

    def __init__(
        self,
        work: Work,
        on_death: Work,
        workers: int,
        threads: int = 1,
        together: int = 1,
        part: Callable[[Job], float] = lambda _: 0.0,
    ) -> None:
        """Start no process yet: each starts with its first job.

        Args:
            work: does a job; a function that a process can import.
            on_death: makes the outcome of a job whose worker died twice.
            workers: processes at the same time.
            threads: that torch uses in each.
            together: jobs that a process has at the same time.
            part: of the memory that a process has for its jobs, which a job takes.
        """
        self._on_death = on_death
        self._workers = [_Worker(work, threads, together, part) for _ in range(workers)]

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
        for worker in self._workers:
            worker.end(at_once=error is not None)

    def drive(self, source: JobSource) -> None:
        """Run what `source` asks for, each job when a worker has room for it."""
        waiting: list[Job] = []
        while True:
            for worker in self._workers:
                if worker.future is None:
                    worker.fill(source, waiting)
            running = {w.future: w for w in self._workers if w.future is not None}
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                for job, outcome in self._ended(running[future]):
                    source.tell(job, outcome)

    def _ended(self, worker: _Worker) -> Iterator[tuple[Job, Outcome]]:
        """Yield the jobs of a worker that have ended; all that it had, if it died."""
        try:
            yield from worker.collect()
        except BrokenProcessPool:
            for job in worker.lose():
                yield job, self._again(worker, job)

    def _again(self, worker: _Worker, job: Job) -> Outcome:
        """Run a job whose worker died once more, alone, so that the guilty one is known."""
        worker.begin([job])
        try:
            [(_, outcome)] = worker.collect()
        except BrokenProcessPool:
            worker.lose()
            return self._on_death(job)
        return outcome


class _Worker:
    """A process and the jobs that it has.

    Attributes:
        future: of the next outcomes; None while it can be given jobs.
    """

    def __init__(
        self, work: Work, threads: int, together: int, part: Callable[[Job], float]
    ) -> None:
        self._work, self._threads, self._together, self._part = work, threads, together, part
        self._pool: ProcessPoolExecutor | None = None
        self._jobs: dict[int, Job] = {}
        self._crowded: list[Job] = []  # ran out of memory beside others
        self._count = 0
        self.future: Future[list[tuple[int, Outcome]]] | None = None

    def fill(self, source: JobSource, waiting: list[Job]) -> None:
        """Take as many jobs as there is room for; what is asked for in vain is left waiting."""
        new: list[Job] = []
        if self._crowded and not self._jobs:
            new.append(self._crowded.pop())
        load = sum(map(self._part, self._jobs.values()))
        while not self._crowded and len(self._jobs) + len(new) < self._together:
            job = waiting.pop() if waiting else source.ask()
            if job is None:
                break
            load += self._part(job)
            if load > 1 and (self._jobs or new):
                waiting.append(job)
                break
            new.append(job)
        if new or self._jobs:
            self.begin(new)

    def begin(self, jobs: list[Job]) -> None:
        """Start jobs, and ask for the outcomes of the next that end."""
        new = dict(enumerate(jobs, self._count))  # two jobs may be of one trial
        self._jobs |= new
        self._count += len(new)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_prepare_worker,
                initargs=(os.getpid(), self._threads),
            )
        with _without_interrupts():  # a process that starts here keeps them blocked
            self.future = self._pool.submit(_next_outcomes, self._work, new, self._together)

    def collect(self) -> Iterator[tuple[Job, Outcome]]:
        """Yield what was asked for; raises BrokenProcessPool if the process has died."""
        assert self.future is not None
        outcomes, self.future, crowd = self.future.result(), None, len(self._jobs)
        for key, outcome in outcomes:
            job = self._jobs.pop(key)
            if crowd > 1 and outcome.memory:
                self._crowded.append(job)
                self._together = max(1, crowd // 2)
            else:
                yield job, outcome

    def lose(self) -> list[Job]:
        """Forget the process, which has died; return the jobs that it had."""
        lost, self._jobs = list(self._jobs.values()), {}
        self._pool = self.future = None
        return lost

    def end(self, *, at_once: bool) -> None:
        """End the process, if there is one."""
        if self._pool is not None:
            _end(self._pool, at_once=at_once)
            self._pool = None


_RUNNING: dict[Future[Outcome], tuple[int, ThreadPoolExecutor]] = {}
"""What a worker process computes, each on a thread, while it listens for more."""


def _next_outcomes(work: Work, jobs: dict[int, Job], together: int) -> list[tuple[int, Outcome]]:
    """Start jobs in this process; wait until one that it has ends; return all that have."""
    if together == 1 and not _RUNNING:
        return [(key, work(job)) for key, job in jobs.items()]
    for key, job in jobs.items():
        thread = ThreadPoolExecutor(max_workers=1)
        _RUNNING[thread.submit(work, job)] = key, thread
    done, _ = wait(_RUNNING, return_when=FIRST_COMPLETED)
    outcomes: list[tuple[int, Outcome]] = []
    for future in done:
        key, thread = _RUNNING.pop(future)
        thread.shutdown()
        outcomes.append((key, future.result()))
    return outcomes


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
