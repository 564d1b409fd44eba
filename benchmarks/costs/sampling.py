"""Draws within a budget: none over it, how many a second, and uniform."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import chisquare

from benchmarks.costs.part import Bench, Row
from budgets.budget import Budget
from budgets.price import price
from budgets.units import Size
from lightir_core.seeds import derive
from search.feasible.region import Region, ledger_of
from search.feasible.space import Feasible
from spaces import SPACES, TaskShape, Value

HD = Size(720, 1280)
SHAPE = TaskShape(2)
SAMPLES = 100_000
CHANGES = 2000
COUNTED = 2**20
BATCH = 10_000

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


def steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
    """One step for each budget, and one for uniformity."""
    for number, budget in enumerate(BUDGETS):
        count = bench.many(SAMPLES if number == 0 else SAMPLES // 10)
        yield budget, lambda b=budget, c=count: _sampled(b, c, bench)
    yield "changes", lambda: _changed(bench)
    yield "uniform", lambda: uniformity(bench)


def _sampled(text: str, count: int, bench: Bench) -> Row:
    """Draw, then build every network and price it independently of the tables."""
    budget, space = Budget.parse(text), SPACES["default"]
    region = Region(ledger_of(space, SHAPE, (HD,)), {}, dict(budget.limits))
    found = region.count
    rng = np.random.default_rng(derive(bench.seed, "sampling", text))
    estimate, error = region.estimate(COUNTED, rng)
    over, made, cpu, wall = 0, 0, 0.0, 0.0
    list(region.draw(100, rng))  # the shelves are put up once
    while made < count:
        begun = time.process_time(), time.perf_counter()
        drawn = [one for one in region.draw(BATCH, rng) if one is not None]
        cpu, wall = cpu + time.process_time() - begun[0], wall + time.perf_counter() - begun[1]
        made += len(drawn)
        for one in drawn:
            over += not budget.allows(price(space.decode(one.choices, SHAPE), HD))
    return {
        "budget": text,
        "least": found.least / space.size,
        "most": found.most / space.size,
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
    """A chi-square test on a space whose points are known one by one."""
    size = Size(64, 64)
    limits = {"params": 60_000, "macs": 60 * 10**6}
    region = Region(ledger_of(TINY, SHAPE, (size,)), {}, limits)
    free = Region(ledger_of(TINY, SHAPE, (size,)), {}, {})
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


def summary(rows: Sequence[Row]) -> list[str]:
    """A table of budgets, and the test."""
    lines = [
        "Draws from the default space (x2, 1280x720 output); each was then built and priced on its "
        "own. Rates are of feasible points with their exact costs; CPU is time that this process "
        f"computed. On two axes the share is an estimate from {COUNTED:,} draws with its 95 % "
        "interval, and proved to lie between two numbers.",
        "",
        "| budget | share of the space | samples | over budget | a second, CPU | wall |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if "samples" in row:
            lines.append(
                f"| {row['budget']} | {_share(row)} | {row['samples']:,} | {row['over']} | "
                f"{row['rate']:,.0f} | {row['wall']:,.0f} |"
            )
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
