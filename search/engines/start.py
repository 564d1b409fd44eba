"""The engine that a run's settings ask for, started and checked before anything is trained."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lightir_core.errors import SearchError
from search.callbacks import Callback
from search.config import SearchConfig, cpu_count
from search.devices import torch_device, worker_count
from search.engines.local import LocalDriver
from search.engines.pilots import Crew
from search.engines.ray_connection import connected
from search.engines.ray_engine import RayEngine
from search.engines.ray_nodes import (
    NodeReport,
    check_versions,
    inspect_nodes,
    places,
    usable_nodes,
)
from search.engines.storage import NOTES, Relay, Relayed, score_relayed, with_paths
from search.evaluators.evaluate import score_candidate
from search.evaluators.failures import in_words, predicted_bytes
from search.jobs import Driver, Job, JobSource, Outcome
from search.loop import Engine
from search.plan import Plan


@contextmanager
def started(plan: Plan, callback: Callback) -> Iterator[Driver]:
    """The driver, until the end of the context.

    Raises:
        SearchError: a cluster that cannot be reached or does not suit the settings.
    """
    if plan.config.machine.engine == "ray":
        with _on_cluster(plan, callback) as engine:
            yield _Asking(engine)
        return
    # a GPU waits for several threads; on the CPU each worker keeps to one core
    threads = cpu_count() if torch_device(plan.config).type == "cuda" else 1
    with LocalDriver(score_candidate, _died, worker_count(plan.config), threads) as driver:
        yield driver


@contextmanager
def _on_cluster(plan: Plan, callback: Callback) -> Iterator[Engine]:
    config, folder = plan.config, plan.folder.path.resolve()
    relay = Relay(config.cluster.storage, folder) if config.cluster.storage else None
    if relay is not None:
        relay.check()
    wanted = math.ceil(config.machine.workers * config.cluster.cpus_per_trial)
    cpus = max(wanted, cpu_count())
    with connected(config.cluster.address, cpus=cpus, dashboard=config.cluster.ray_dashboard):
        reports = inspect_nodes(plan.source, None if relay else folder)
        crew = _crew(config, reports, callback)
        with (
            _notes_of_tune(folder, relay) as notes,
            RayEngine(
                partial(score_relayed, score_candidate, relay) if relay else score_candidate,
                _died_on,
                crew,
                storage=notes,
                retried=_retried,
                names={report.id: report.name for report in reports},
                note=callback.note,
            ) as engine,
        ):
            yield Relayed(engine, relay) if relay else _Absolute(engine)


def _crew(config: SearchConfig, reports: Sequence[NodeReport], callback: Callback) -> Crew:
    """The crew for the nodes that may train; what is not as one may think is told."""
    check_versions(reports)
    nodes, left_out = usable_nodes(reports)
    for note in left_out:
        callback.note(note)
    crew = crew_for(config, reports, nodes)
    callback.item(_cluster_in_words(nodes, crew))
    if crew.workers > config.search.generation:
        callback.note(
            f"{config.search.generation} candidates are proposed at a time, so {crew.workers} "
            f"trainings at once will not be; set LIGHTIR_GENERATION={4 * crew.workers} or so"
        )
    if not crew.gpus and any(node.gpus for node in nodes):
        callback.note("nothing is trained on the cluster's GPUs without --gpus-per-trial")
    return crew


@contextmanager
def _notes_of_tune(folder: Path, relay: Relay | None) -> Iterator[str]:
    """Where Ray Tune keeps its own notes; nobody needs them afterwards."""
    try:
        yield relay.notes if relay else str(folder / NOTES)
    finally:
        if relay is None:
            shutil.rmtree(folder / NOTES, ignore_errors=True)
        else:
            relay.forget_notes()


@dataclass(frozen=True)
class _Asking:
    """An engine that iterates, as a driver."""

    engine: Engine

    def drive(self, source: JobSource) -> None:
        for job, outcome in self.engine.run(iter(source.ask, source)):
            source.tell(job, outcome)


@dataclass(frozen=True)
class _Absolute:
    """An engine whose workers are called from elsewhere than the driver."""

    engine: Engine

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """Outcomes as they come."""
        return self.engine.run(job and with_paths(job, Path.resolve) for job in jobs)


def crew_for(
    config: SearchConfig, reports: Sequence[NodeReport], nodes: Sequence[NodeReport]
) -> Crew:
    """How many trainings run at a time, and where.

    Args:
        config: the settings.
        reports: of all nodes.
        nodes: those among them that may train.

    Raises:
        SearchError: the nodes have no room for as many, or for any.
    """
    cpus, gpus = config.cluster.cpus_per_trial, config.cluster.gpus_per_trial
    room = places(nodes, cpus, gpus)
    each = f"{cpus:g} processors" + (f" and {gpus:g} GPUs" if gpus else "")
    there = ", ".join(f"{n.name} {n.cpus:g} processors and {n.gpus:g} GPUs" for n in nodes)
    if not room:
        raise SearchError(
            f"no node has {each} for a training; there are: {there}; ask for less with "
            f"--cpus-per-trial and --gpus-per-trial"
        )
    if config.machine.workers > room:
        raise SearchError(
            f"--workers {config.machine.workers} with {each} each: the cluster has room for "
            f"{room} at a time; there are: {there}; ask for fewer workers or a smaller share"
        )
    return Crew(
        workers=config.machine.workers or room,
        cpus=cpus,
        gpus=gpus,
        threads=max(1, int(cpus)),
        avoid=tuple(report.id for report in reports if report not in nodes),
    )


def _cluster_in_words(nodes: Sequence[NodeReport], crew: Crew) -> str:
    cpus, gpus = (sum(getattr(node, kind) for node in nodes) for kind in ("cpus", "gpus"))
    return (
        f"cluster: {len(nodes)} node{'s' * (len(nodes) != 1)}, {cpus:g} processors, {gpus:g} "
        f"GPUs; {crew.workers} training{'s' * (crew.workers != 1)} at a time"
    )


def _died(job: Job) -> Outcome:
    told = {"predicted_bytes": predicted_bytes(job)}
    reason = f"its worker process died twice (out of memory?); {in_words(told)}"
    return Outcome(number=job.number, reason=reason, memory=told)


def _died_on(job: Job, nodes: tuple[str, ...]) -> Outcome:
    told = {"predicted_bytes": predicted_bytes(job)}
    where = ", ".join(dict.fromkeys(nodes))
    reason = (
        f"its worker process died {len(nodes)} times, on {where} (out of memory?); {in_words(told)}"
    )
    return Outcome(number=job.number, reason=reason, memory=told, losses=nodes)


def _retried(outcome: Outcome, nodes: tuple[str, ...]) -> Outcome:
    """Say where workers were lost, and what the last loss cost."""
    after = f"{nodes[-1]}, then on from step {outcome.began_at}"
    return replace(outcome, losses=(*nodes[:-1], after))
