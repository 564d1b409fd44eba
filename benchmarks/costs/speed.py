"""How many architectures are priced in a second, and how long the first table takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from benchmarks.costs.part import Bench, Row
from budgets.price import price
from budgets.table import CostTable
from budgets.units import Size
from lightir_core.architecture import ResidualConvolutionConfig, StageConfig, WindowAttentionConfig

HD = Size(720, 1280)
ARCHITECTURES = 2000
ROUNDS = 9
BATCH = 10**6
BATCH_STAGES = 2000

FILL = """
import sys
from search.feasible.region import Region, ledger_of
from budgets.units import Size
from spaces import SPACES, TaskShape
ledger = ledger_of(SPACES["default"], TaskShape(2), (Size(720, 1280),))
region = Region(ledger, {}, {"macs": 10**12})
print(region.fill(int(sys.argv[1])))
"""


def steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Warm, in batches, and cold."""
    yield "one by one", lambda: _warm(bench)
    yield "in batches", lambda: _batches(bench)
    for workers in (1, 2):
        yield f"cold with {workers}", lambda workers=workers: _cold(workers)


def _warm(bench: Bench) -> Row:
    found = list(bench.architectures(bench.many(ARCHITECTURES), "speed", scale=2))

    def run() -> None:
        for architecture in found:
            price(architecture, HD)

    run()
    return {"what": "one by one, all parts known", **_rates(run, len(found))}


def _batches(bench: Bench) -> Row:
    """Rows of a table whose stages and frames come from random architectures."""
    found = list(bench.architectures(bench.many(BATCH_STAGES), "batch", scale=2))
    widths = sorted({one.width for one in found})
    stages = [
        stage
        for one in found
        for stage in one.stages
        if stage.cross_layer is None and _fits_all(stage, widths)
    ]
    frames = [replace(found[0], width=w, stages=(stages[0],), stage_sharing=1) for w in widths]
    table = CostTable(frames, list(dict.fromkeys(stages)), HD)
    rng = np.random.default_rng(bench.seed)
    count = bench.many(BATCH)
    which = rng.integers(len(table.frames), size=count)
    rows = rng.integers(len(table.stages), size=(count, 4))
    table.price(which, rows)
    rates = _rates(lambda: table.price(which, rows), count)
    return {"what": f"in batches of {count:,}, four stages each", **rates}


def _rates(run: Callable[[], object], count: int) -> Row:
    """Medians of several rounds, by both clocks."""
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(count / (time.perf_counter() - wall))
        cpus.append(count / (time.process_time() - cpu))
    return {"rate": median(cpus), "wall": median(walls)}


def _fits_all(stage: StageConfig, widths: Sequence[int]) -> bool:
    """Whether the stage's heads and groups divide every width."""
    mixers = [block.mixer for block in stage.blocks]
    numbers = [m.num_heads for m in mixers if not isinstance(m, ResidualConvolutionConfig)]
    numbers += [m.projection.groups for m in mixers if isinstance(m, WindowAttentionConfig)]
    return all(width % number == 0 for width in widths for number in numbers)


def _cold(workers: int) -> Row:
    """In a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        begun = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-c", FILL, str(workers)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - begun
    return {"workers": workers, "parts": int(ended.stdout), "seconds": seconds}


def summary(rows: Sequence[Row]) -> list[str]:
    """Rates in time that the process computes, and the cold start in time that passes."""
    lines = [
        "Architectures a second on one core; CPU is time that this process computed.",
        "",
        "| what | CPU | wall |",
        "| --- | ---: | ---: |",
    ]
    lines += [
        f"| {row['what']} | {row['rate']:,.0f} | {row['wall']:,.0f} |"
        for row in rows
        if "rate" in row
    ]
    lines.append("")
    lines += [
        f"Cold: {row['parts']:,} parts, all that the default space can contain at {HD} x2, in "
        f"{row['seconds']:.0f} s with {row['workers']} process(es), start of Python included."
        for row in rows
        if "parts" in row
    ]
    return lines
