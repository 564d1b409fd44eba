"""Rows of trainings as the one file that ships with the program, and what it holds in tables."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import Row
from benchmarks.trained_plan import SIZES
from lightir_core.errors import SearchError
from results.table import TrainedNetwork, load_table, save_table


def pack(rows: Iterable[Row], file: Path) -> Sequence[TrainedNetwork]:
    """Write the table of trainings and return it as it is read back.

    Of trainings that repeat each other to the seed only the first is kept; those that diverged
    stay, marked.

    Raises:
        SearchError: there are no rows, or they come from different images.
    """
    kept: dict[tuple[object, ...], Row] = {}
    for row in rows:
        key = (row["id"], row["task"], row["seed"], row["recipe"], row["steps"])
        kept.setdefault(key, row)
    images = {tuple(row["images"]) for row in kept.values()}
    if len(images) != 1:
        raise SearchError(
            f"a table is of trainings on the same images, there are {len(images)} sets of them: "
            f"{sorted(images)}; train some, or pack them apart"
        )
    save_table(file, [network_of(row) for row in kept.values()], [*images.pop()])
    return load_table(file)


def network_of(row: Row) -> TrainedNetwork:
    """Return a row's training."""
    names = {field.name for field in fields(TrainedNetwork)}
    return TrainedNetwork.from_plain({name: row[name] for name in row.keys() & names})


def describe(networks: Sequence[TrainedNetwork], file: Path) -> list[str]:
    """Return counts of a table by task, size and origin, its machines and its file, as Markdown."""
    lost = sum(bool(network.reason) for network in networks)
    again = sum(network.is_diverged for network in networks) - lost
    distinct = len({network.architecture.id for network in networks})
    hours = sum(network.cpu_s for network in networks) / 3600
    return [
        f"{len(networks):,} trainings of {distinct:,} architectures, {hours:.1f} hours of processor"
        f" time, {file.stat().st_size / 1000:,.0f} kB. {lost} failed and have no score; {again}"
        " diverged and were begun again with lower rates.",
        "",
        *_by_task(networks),
        "",
        *_by_size(networks),
        "",
        *_by_machine(networks),
    ]


def _by_task(networks: Sequence[TrainedNetwork]) -> list[str]:
    heads = ["task", "recipe", "steps:", "patches:", "trainings:", "median dB:", "from", "to"]
    groups: dict[tuple[object, ...], list[TrainedNetwork]] = {}
    for one in networks:
        patches = f"{one.batch}x{one.patch_px}x{one.patch_px}"
        groups.setdefault((one.task, one.recipe, f"{one.steps:,}", patches), []).append(one)
    cells: list[list[object]] = []
    for group, members in groups.items():
        scores = [one.score for one in members if one.curve] or [float("nan")]
        numbers = (statistics.median(scores), min(scores), max(scores))
        cells.append([*group, len(members), *(f"{number:.2f}" for number in numbers)])
    return harness.table(heads, cells)


def _by_size(networks: Sequence[TrainedNetwork]) -> list[str]:
    """Count by parameters, each limit for those up to it, and by the first word of the origin."""
    limits = sorted(SIZES)
    origins = sorted({one.origin.split()[0] for one in networks})
    counts = Counter(
        (next((size for size in limits if one.params <= size), 0), one.origin.split()[0])
        for one in networks
    )
    cells = [
        [f"{size // 1000}k" if size else "more", *(counts[size, origin] for origin in origins)]
        for size in (*limits, 0)
    ]
    return harness.table(["parameters up to:", *(f"{one}:" for one in origins)], cells)


def _by_machine(networks: Sequence[TrainedNetwork]) -> list[str]:
    counts = Counter(one.machine or "unknown" for one in networks)
    return harness.table(["machine", "trainings:"], counts.most_common())
