"""Start the driver that a run's settings ask for: processes of this machine, or a cluster."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from lightir_core.errors import SearchError
from lightir_core.learning.learner import is_graphed
from search.config import SearchConfig, cpu_count
from search.engines.local import LocalDriver
from search.engines.ray_nodes import (
    NodeReport,
    check_versions,
    connected,
    inspect_nodes,
    usable_nodes,
)
from search.engines.ray_tune import CheckpointStorage, RayDriver, WorkerSpec, score_stored
from search.evaluators.evaluate import predicted_bytes, score_candidate, worker_died
from search.jobs import Callback, Driver
from search.plan import Plan, torch_device, worker_count

MEMORY_SHARE = 0.7
"""Of a GPU's free memory for what trainings are predicted to take; validation takes some too."""


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
    died, device = partial(worker_died, times="twice"), torch_device(plan.config)
    count = worker_count(plan.config)
    if device.type == "cuda" and is_graphed(plan.config.training.launch_mode, device):
        room = MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]
        driver = LocalDriver(
            score_candidate,
            died,
            workers=1,
            threads=cpu_count(),
            together=count,
            part=lambda job: predicted_bytes(job) / room,
        )
    else:  # a GPU waits for several threads; on the CPU each worker keeps to one core
        threads = cpu_count() if device.type == "cuda" else 1
        driver = LocalDriver(score_candidate, died, count, threads)
    with driver:
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
