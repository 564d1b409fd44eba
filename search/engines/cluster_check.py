"""Whether a cluster is ready for a search: what must be mended, and what is good to know."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import torch
from torch import Tensor

from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.training import train
from lightir_core.network import build
from search.engines.ray_connection import connected, import_ray
from search.engines.ray_nodes import NodeReport, check_versions

STEPS = 6
"""Training steps on each node; the median of all but the first counts."""

JOIN_S = 120.0
"""How long nodes that are expected may take to join."""

SLOW = 2.0
"""A node that takes this many times the median of its like is told."""


def step_seconds(architecture: Architecture) -> float:
    """Seconds of a training step on this machine's GPU, or on one core of it."""
    torch.set_num_threads(1)
    watch = _Watch(architecture)
    train(
        build(architecture),
        watch,
        PROXY.lasting(STEPS + 1),
        seed=0,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        validate=lambda _: 0.0,
        checks=1,
    )
    return watch.median


class _Watch:
    """Patches of noise that tell when they were asked for."""

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture
        self._moments: list[float] = []

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Noise, and the time is noted."""
        self._moments.append(time.perf_counter())
        inner, side = self._architecture, patch_px * self._architecture.scale
        drawn = torch.Generator().manual_seed(step)
        lq = torch.rand(batch, inner.in_channels, patch_px, patch_px, generator=drawn)
        return lq, torch.rand(batch, inner.out_channels, side, side, generator=drawn)

    @property
    def median(self) -> float:
        """Seconds between them, the first step left out."""
        moments = self._moments[1:]
        return statistics.median(after - before for before, after in pairwise(moments))


@contextmanager
def gathered(address: str, nodes: int, patience_s: float = JOIN_S) -> Iterator[None]:
    """Be connected to a cluster, once so many nodes have joined it or `patience_s` are over.

    Args:
        address: as `search.engines.ray_connection.connected` takes it.
        nodes: how many are expected; 0 does not wait for anything.
        patience_s: seconds for the head to answer, and for the nodes to join.

    Raises:
        SearchError: there is no cluster, or none in time.
    """
    deadline = time.monotonic() + (patience_s if nodes else 0.0)
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(connected(address))
                break
            except SearchError:  # the head may still be starting
                if time.monotonic() >= deadline:
                    raise
                time.sleep(1)
        while _alive() < nodes and time.monotonic() < deadline:
            time.sleep(1)
        yield


def _alive() -> int:
    return sum(node["Alive"] for node in import_ray().nodes())


def problems(reports: Sequence[NodeReport], nodes: int = 0) -> tuple[str, ...]:
    """What must be mended before a search can use every node; nothing if all is well.

    `nodes` are expected at least.
    """
    return tuple(_problems(reports, nodes))


def _problems(reports: Sequence[NodeReport], nodes: int) -> Iterator[str]:
    if len(reports) < nodes:
        yield (
            f"{len(reports)} of {nodes} nodes have joined: look into the output of `ray start` on "
            f"the others, and whether they reach the head and have its RAY_AUTH_TOKEN"
        )
    for report in reports:
        why = report.error or "; ".join(report.missing)
        if why:
            yield f"node {report.name}: {why}"
    try:
        check_versions(reports)
    except SearchError as error:
        yield str(error)


def remarks(reports: Sequence[NodeReport]) -> tuple[str, ...]:
    """What is good to know of a cluster that works."""
    return tuple(_remarks(reports))


def _remarks(reports: Sequence[NodeReport]) -> Iterator[str]:
    without = [report.name for report in reports if not report.gpus]
    if 0 < len(without) < len(reports):
        yield f"no GPU on {', '.join(without)}: --gpus-per-trial leaves them idle"
    for slow, typical_s in _slow(reports):
        yield (
            f"node {slow.name} needs {1000 * (slow.step_seconds or 0):.0f} ms for a step that "
            f"takes its like {1000 * typical_s:.0f} ms: is it busy with something else?"
        )


def _slow(reports: Sequence[NodeReport]) -> Iterator[tuple[NodeReport, float]]:
    """Nodes that are slower than those of the same hardware, and what these take."""
    for report in reports:
        like = [
            other.step_seconds
            for other in reports
            if other is not report and other.hardware == report.hardware and other.step_seconds
        ]
        if report.step_seconds and like and report.step_seconds > SLOW * statistics.median(like):
            yield report, statistics.median(like)
