"""Latency: the sum of the parts' times against the time of the whole network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

import torch
from scipy.stats import kendalltau

from benchmarks.costs.part import Bench, Row
from benchmarks.harness import one_core
from benchmarks.measured import measured_latency
from budgets.latency import CLOCKS, LatencyTable, device_name, latency
from budgets.units import Size
from lightir_core.architecture import Architecture

NETWORKS = 30
SIZE = Size(128, 192)


def steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
    """One step for each network: its parts are timed just before it, those not timed yet."""
    networks = bench.architectures(bench.many(NETWORKS), "latency", scale=2)
    for number, network in enumerate(networks):
        yield f"{number}", lambda network=network: _timed(network)


@one_core()
def _timed(network: Architecture) -> Row:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tables = (LatencyTable(device=device, clock=clock) for clock in CLOCKS)
    predicted = [latency(network, SIZE, table) for table in tables]
    observed = measured_latency(network, SIZE, device)
    name = device_name(device)
    return {"device": name, "predicted": predicted, "observed": list(observed)}


def summary(rows: Sequence[Row]) -> list[str]:
    """Rank correlation and error on each clock."""
    lines = [
        f"{len(rows)} random networks of the default space, x2, output {SIZE}, one thread of "
        f"{rows[0]['device'].removesuffix(' x1')}.",
        "",
        "| clock | Kendall's tau | median error | worst error | predicted / measured, median |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for number, clock in enumerate(CLOCKS):
        predicted = [row["predicted"][number] for row in rows]
        observed = [row["observed"][number] for row in rows]
        ratios = [p / o for p, o in zip(predicted, observed, strict=True)]
        errors = [abs(ratio - 1) for ratio in ratios]
        tau: Any = kendalltau(predicted, observed)  # its type hides the fields
        lines.append(
            f"| {clock} | {tau.statistic:.3f} | {median(errors):.1%} | {max(errors):.1%} | "
            f"{median(ratios):.3f} |"
        )
    return lines
