"""Draws within a budget (none over it, how many a second, uniform) and the speed of pricing."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
from scipy.stats import chisquare

from benchmarks import harness
from benchmarks.harness import Row, Step
from budgets.budget import Budget, Size
from budgets.price import price
from lightir_core.architecture import (
    Architecture,
)
from lightir_core.seeds import derive
from search.feasible.region import Region, costs_of
from search.feasible.space import Feasible
from spaces import SPACES, TaskShape, Value

SHAPES = (TaskShape(1), TaskShape(2), TaskShape(3), TaskShape(4), TaskShape(1, 1, 1))
"""What tasks fix: same size, enlargement, gray."""

HD = Size(720, 1280)
SHAPE = TaskShape(2)
SAMPLES = 100_000
CHANGES = 2000
COUNTED = 2**20
DRAWN = 10_000
ARCHITECTURES = 2000
ROUNDS = 9

BUDGETS = ("60k,macs=10G", "params=40k", "macs=15G", "params=400k,macs=30G")

TINY = SPACES["small"].restrict(
    {
        "width": (24, 32),
        "stages": (1, 2),
        "blocks": (1, 2),
        "heads": (2,),
        "window": ("4x4", "4x16"),
        "feed_forward": ("mlp",),
        "ratio": (1.0, 2.0),
        "groups": (1,),
    }
)
"""A space whose points can be counted one by one."""

FILL = """
import sys
from search.feasible.region import Region, costs_of
from budgets.budget import Size
from spaces import SPACES, TaskShape
costs = costs_of(SPACES["default"], TaskShape(2), (Size(720, 1280),))
region = Region(costs, {}, {"macs": 10**12})
print(region.fill(int(sys.argv[1])))
"""


@dataclass(frozen=True)
class Bench:
    """How much is measured: `share` of the full numbers, decided by `seed`."""

    seed: int = 0
    share: float = 1.0

    def many(self, full: int) -> int:
        """Return so many of the full number, at least one."""
        return max(1, round(full * self.share))

    def architectures(
        self, full: int, *purpose: str, scale: int | None = None
    ) -> Iterator[Architecture]:
        """Yield random architectures of the default space, for one purpose."""
        space = SPACES["default"]
        for number in range(self.many(full)):
            rng = random.Random(derive(self.seed, "bench costs", *purpose, number))
            shape = rng.choice(SHAPES) if scale is None else TaskShape(scale)
            yield space.decode(space.sample(rng), shape)


def steps(bench: Bench) -> Iterator[Step]:
    """Yield one step for each budget, and one for uniformity."""
    for number, budget in enumerate(BUDGETS):
        count = bench.many(SAMPLES if number == 0 else SAMPLES // 10)
        yield budget, partial(_sampled, budget, count, bench)
    yield "changes", partial(_changed, bench)
    yield "uniform", partial(uniformity, bench)


def _sampled(text: str, count: int, bench: Bench) -> Row:
    """Draw, then build every network and price it independently of the tables."""
    budget, space = Budget.parse(text), SPACES["default"]
    region = Region(costs_of(space, SHAPE, (HD,)), {}, dict(budget.limits))
    count_of = region.count
    rng = np.random.default_rng(derive(bench.seed, "sampling", text))
    estimate, error = region.estimate(COUNTED, rng)
    over, made, cpu, wall = 0, 0, 0.0, 0.0
    list(region.draw(100, rng))  # its tables are made once
    while made < count:
        begun = time.process_time(), time.perf_counter()
        drawn = [one for one in region.draw(DRAWN, rng) if one is not None]
        cpu, wall = cpu + time.process_time() - begun[0], wall + time.perf_counter() - begun[1]
        made += len(drawn)
        for one in drawn:
            over += not budget.allows(price(space.decode(one.choices, SHAPE), HD))
    return {
        "budget": text,
        "least": count_of.least / space.size,
        "most": count_of.most / space.size,
        "estimate": estimate / space.size,
        "error": error / space.size,
        "samples": made,
        "over": over,
        "rate": made / cpu,
        "wall": made / wall,
    }


def _changed(bench: Bench) -> Row:
    """Mutants and children of feasible networks, as the strategies make them."""
    budget = Budget.parse("params=100k,macs=30G")
    feasible = Feasible(SPACES["default"], SHAPE, budget, HD)
    rng = random.Random(derive(bench.seed, "changes"))
    count = bench.many(CHANGES)
    parents = [feasible.draw(rng) for _ in range(20)]
    over = 0
    for number in range(count):
        mother, father = rng.sample(parents, 2)
        given = (
            feasible.space.mutate(mother.choices, rng)
            if number % 2
            else feasible.space.cross(mother.choices, father.choices, rng)
        )
        child = feasible.near(given, rng)
        over += not budget.allows(price(child.architecture, HD))
        parents[rng.randrange(len(parents))] = child
    return {"changes": count, "over": over, "budget": budget.text}


def uniformity(bench: Bench) -> Row:
    """Test by chi-square a space whose points are known one by one."""
    size = Size(64, 64)
    limits = {"params": 60_000, "macs": 60 * 10**6}
    region = Region(costs_of(TINY, SHAPE, (size,)), {}, limits)
    free = Region(costs_of(TINY, SHAPE, (size,)), {}, {})
    rng = np.random.default_rng(derive(bench.seed, "uniform"))
    # every point of the space turns up among so many free draws
    there = set[frozenset[tuple[str, Value]]]()
    for one in free.draw(40 * TINY.size, rng):
        if one is not None:
            cost = price(TINY.decode(one.choices, SHAPE), size)
            if cost.params <= limits["params"] and cost.macs <= limits["macs"]:
                there.add(frozenset(one.choices.items()))
    drawn = [one for one in region.draw(100 * len(there), rng) if one is not None]
    counts = Counter(frozenset(one.choices.items()) for one in drawn)
    test = chisquare([counts[point] for point in there])
    return {
        "points": TINY.size,
        "fitting": len(there),
        "counted": region.count.most,
        "outside": len(set(counts) - there),
        "draws": len(drawn),
        "p": float(test.pvalue),
    }


def document(rows: Sequence[Row]) -> list[str]:
    """Return a table of budgets, and the test, as Markdown."""
    cells = [
        [row["budget"], _share(row), f"{row['samples']:,}", row["over"], *_both(row)]
        for row in rows
        if "samples" in row
    ]
    lines = [
        "Draws from the default space (x2, 1280x720 output); each was then built and priced on its "
        "own. Rates are of feasible points with their exact costs; CPU is time that this process "
        f"computed. On two axes the share is an estimate from {COUNTED:,} draws with its 95 % "
        "interval, and proved to lie between two numbers.",
        "",
        *harness.table(
            [
                "budget",
                "share of the space:",
                "samples:",
                "over budget:",
                "a second, CPU:",
                "wall:",
            ],
            cells,
        ),
    ]
    for row in rows:
        if "changes" in row:
            lines += [
                "",
                f"{row['changes']:,} mutants and children within {row['budget']}: "
                f"{row['over']} over budget.",
            ]
        if "p" in row:
            lines += [
                "",
                f"Uniformity on a space of {row['points']:,} points of which {row['counted']:,} by "
                f"count and {row['fitting']:,} one by one fit two limits: {row['draws']:,} draws, "
                f"{row['outside']} outside, chi-square test p = {row['p']:.2f}.",
            ]
    return lines


def _share(row: Row) -> str:
    if row["least"] == row["most"]:
        return f"{100 * row['least']:.6g} % exactly"
    between = f"{100 * row['least']:.3g} % to {100 * row['most']:.3g} %"
    return f"{100 * row['estimate']:.4g} % ± {100 * row['error']:.2g} % ({between})"


def _both(row: Row) -> tuple[str, str]:
    return f"{row['rate']:,.0f}", f"{row['wall']:,.0f}"


def speed_steps(bench: Bench) -> Iterator[Step]:
    """Warm and cold."""
    yield "one by one", partial(_warm, bench)
    for workers in (1, 2):
        yield f"cold with {workers}", partial(_cold, workers)


def _warm(bench: Bench) -> Row:
    networks = list(bench.architectures(ARCHITECTURES, "speed", scale=2))

    def run() -> None:
        for architecture in networks:
            price(architecture, HD)

    run()
    return {"what": "one by one, all parts known", **_rates(run, len(networks))}


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


def _cold(workers: int) -> Row:
    """Measure in a process of its own, with an empty cache."""
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


def speed_document(rows: Sequence[Row]) -> list[str]:
    """Return rates in time that the process computes, and the cold start by the clock."""
    cells = [[row["what"], *_both(row)] for row in rows if "rate" in row]
    return [
        "Architectures a second on one core; CPU is time that this process computed.",
        "",
        *harness.table(["what", "CPU:", "wall:"], cells),
        "",
        *(
            f"Cold: {row['parts']:,} parts, all that the default space can contain at {HD} x2, in "
            f"{row['seconds']:.0f} s with {row['workers']} process(es), start of Python included."
            for row in rows
            if "parts" in row
        ),
    ]
