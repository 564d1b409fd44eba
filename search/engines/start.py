"""Run jobs in processes of this machine, or start the driver that a run's settings ask for.

How many threads there are changes the last digits of a training, so it must not depend on how many
workers there are.

A worker that dies (killed, out of memory) is replaced and its job tried once more.
"""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self

import torch

from lightir_core.errors import SearchError
from search.config import SearchConfig, cpu_count
from search.engines.ray_nodes import (
    NodeReport,
    check_versions,
    connected,
    inspect_nodes,
    usable_nodes,
)
from search.engines.ray_tune import CheckpointStorage, RayDriver, WorkerSpec, score_stored
from search.evaluators.evaluate import score_candidate, worker_died
from search.jobs import Callback, Driver, Job, JobSource, Outcome
from search.plan import Plan, torch_device, worker_count


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


@contextmanager
def started(plan: Plan, callback: Callback) -> Iterator[Driver]:
    """Yield the driver, until the end of the context.

    Raises:
        SearchError: a cluster that cannot be reached or does not suit the settings.
    """
    if plan.config.machine.engine == "ray":
        with _on_cluster(plan, callback) as driver:
            yield driver
        return
    # a GPU waits for several threads; on the CPU each worker keeps to one core
    threads = cpu_count() if torch_device(plan.config).type == "cuda" else 1
    died = partial(worker_died, times="twice")
    with LocalDriver(score_candidate, died, worker_count(plan.config), threads) as driver:
        yield driver


@contextmanager
def _on_cluster(plan: Plan, callback: Callback) -> Iterator[RayDriver]:
    """Yield a driver on nodes that were inspected; note what is not as one may think."""
    config, folder = plan.config, plan.folder.path.resolve()
    storage = CheckpointStorage(config.cluster.storage, folder) if config.cluster.storage else None
    if storage is not None:
        storage.check()
    wanted = math.ceil(config.machine.workers * config.cluster.cpus_per_trial)
    cpus = max(wanted, cpu_count())
    with connected(config.cluster.address, cpus=cpus, dashboard=config.cluster.ray_dashboard):
        reports = inspect_nodes(plan.source, None if storage else folder)
        check_versions(reports)
        nodes, left_out = usable_nodes(reports)
        for note in left_out:
            callback.note(note)
        spec = worker_spec(config, reports, nodes)
        callback.item(_describe_cluster(nodes, spec))
        if spec.workers > config.search.generation:
            callback.note(
                f"{config.search.generation} candidates are proposed at a time, so {spec.workers} "
                f"trainings at once will not be; set LIGHTIR_GENERATION={4 * spec.workers} or so"
            )
        if not spec.gpus and any(node.gpus for node in nodes):
            callback.note("nothing is trained on the cluster's GPUs without --gpus-per-trial")
        yield RayDriver(
            partial(score_stored, score_candidate, storage) if storage else score_candidate,
            spec,
            storage,
            names={report.id: report.name for report in reports},
            note=callback.note,
            parameters=lambda job: plan.feasible.price(job.architecture).to_plain(),
        )


def worker_spec(
    config: SearchConfig, reports: Sequence[NodeReport], nodes: Sequence[NodeReport]
) -> WorkerSpec:
    """Return how many trainings run at a time, and where.

    Args:
        config: the settings.
        reports: of all nodes.
        nodes: those among them that may train.

    Raises:
        SearchError: the nodes have no room for as many, or for any.
    """
    cpus, gpus = config.cluster.cpus_per_trial, config.cluster.gpus_per_trial
    workers = config.machine.workers
    room = sum(node.capacity(cpus, gpus) for node in nodes)
    each = f"{cpus:g} processors" + (f" and {gpus:g} GPUs" if gpus else "")
    there = ", ".join(f"{n.name} {n.cpus:g} processors and {n.gpus:g} GPUs" for n in nodes)
    if not room:
        raise SearchError(
            f"no node has {each} for a training; there are: {there}; ask for less with "
            f"--cpus-per-trial and --gpus-per-trial"
        )
    if workers > room:
        raise SearchError(
            f"--workers {workers} with {each} each: the cluster has room for {room} at a "
            f"time; there are: {there}; ask for fewer workers or a smaller share"
        )
    return WorkerSpec(
        workers=workers or room,
        cpus=cpus,
        gpus=gpus,
        avoid=tuple(report.id for report in reports if report not in nodes),
    )


def _describe_cluster(nodes: Sequence[NodeReport], spec: WorkerSpec) -> str:
    cpus, gpus = (sum(getattr(node, kind) for node in nodes) for kind in ("cpus", "gpus"))
    return (
        f"cluster: {len(nodes)} node{'s' * (len(nodes) != 1)}, {cpus:g} processors, {gpus:g} "
        f"GPUs; {spec.workers} training{'s' * (spec.workers != 1)} at a time"
    )
