"""Strategies against each other on the objective table: real scores, no training, many seeds."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.costs.part import Bench, Part, Row, measure
from benchmarks.table import Table
from budgets.budget import Budget
from results.objectives import Objective, minimised
from results.pareto import hypervolume, hypervolume_history, reference_point
from search.feasible.space import Candidate
from search.strategies import STRATEGIES, Scenario

TRIALS = 64
GENERATION = 8
SEEDS = 30
BUDGET = "40k"
"""Binds: part of the table is over it."""

MARKS = (16, 32, 48, 64)
"""Numbers of trials at which the document tells the hypervolume."""

RESAMPLES = 5000
BARS = "▁▂▃▄▅▆▇█"

OBJECTIVES = (
    Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    Objective(name="macs", direction="minimise", unit="MACs", label="MACs"),
)


def rows_of(
    table: Table,
    names: Sequence[str],
    seeds: int,
    folder: Path,
    tell: Callable[[str], None],
    *,
    more: bool = True,
) -> list[Row]:
    """One row for each search, kept in `folder`; goes on where it was stopped."""

    def steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
        for seed in range(seeds):
            for name in names:
                yield f"{name}-{seed}", lambda n=name, s=seed: play(table, n, s)

    part = Part("strategies", "Strategies", steps, lambda rows: [])
    return measure(part, Bench(), folder, lambda text: tell(text.partition(": ")[0]), more=more)[0]


def play(table: Table, name: str, seed: int) -> Row:
    """One search of the table; how much of the reachable hypervolume it had after each trial."""
    feasible = replace(table.feasible, budget=Budget.parse(BUDGET))
    strategy = STRATEGIES[name](Scenario(feasible, OBJECTIVES, GENERATION, seed))
    made: list[Candidate] = []
    begun = time.process_time()
    for first in range(0, TRIALS, GENERATION):
        numbers = range(first, min(first + GENERATION, TRIALS))
        proposed = [strategy.propose(number) for number in numbers]
        for number, candidate in zip(numbers, proposed, strict=True):
            strategy.observe(number, _values(table, candidate))
        made += proposed
    seconds = time.process_time() - begun
    ids = [candidate.architecture.id for candidate in made]
    return {
        "strategy": name,
        "seed": seed,
        "shares": _shares(table, made),
        "within": sum(feasible.budget.allows(c.cost) for c in made) / len(made),
        "duplicates": len(ids) - len(set(ids)),
        "ms": 1000 * seconds / len(made),
    }


def _values(table: Table, candidate: Candidate) -> tuple[float, float]:
    return table.entries[candidate.architecture.id].score, float(candidate.cost.macs)


def _shares(table: Table, made: Sequence[Candidate]) -> list[float]:
    """Of the hypervolume of all that the budget allows, after each trial."""
    budget = Budget.parse(BUDGET)
    allowed = [e.candidate for e in table.entries.values() if budget.allows(e.candidate.cost)]
    reachable = [minimised(OBJECTIVES, _values(table, candidate)) for candidate in allowed]
    reference = reference_point(reachable)
    whole = hypervolume(reachable, reference)
    points = [minimised(OBJECTIVES, _values(table, candidate)) for candidate in made]
    return [volume / whole for volume in hypervolume_history(points, reference)]


def document(table: Table, rows: Sequence[Row]) -> str:
    """What the rows say, as Markdown."""
    by_name: dict[str, dict[int, Row]] = {}
    for row in rows:
        by_name.setdefault(row["strategy"], {})[row["seed"]] = row
    allowed = sum(Budget.parse(BUDGET).allows(e.candidate.cost) for e in table.entries.values())
    lines = [
        f"Share of the reachable hypervolume (PSNR-Y and MACs) after so many trials, mean of the "
        f"seeds with a 95 % bootstrap interval. The table holds {len(table.entries)} networks, "
        f"{allowed} of them within the budget of {BUDGET} parameters; a generation is "
        f"{GENERATION} trials.",
        "",
        f"| strategy | seeds | {' | '.join(f'{mark} trials' for mark in MARKS)} | 1 to {TRIALS} "
        f"| within budget | duplicates | CPU ms a trial |",
        f"|---|--:|{'--:|' * len(MARKS)}---|--:|--:|--:|",
    ]
    lines += [_line(name, list(found.values())) for name, found in by_name.items()]
    lines += ["", *_against_random(by_name)]
    return "\n".join(lines) + "\n"


def _line(name: str, rows: Sequence[Row]) -> str:
    cells = [_with_interval([row["shares"][mark - 1] for row in rows]) for mark in MARKS]
    mean = [statistics.fmean(values) for values in zip(*(r["shares"] for r in rows), strict=True)]
    within = statistics.fmean(row["within"] for row in rows)
    ms = statistics.median(row["ms"] for row in rows)
    return (
        f"| {name} | {len(rows)} | {' | '.join(cells)} | {sparkline(mean[3::4])} "
        f"| {within:.0%} | {sum(row['duplicates'] for row in rows)} | {ms:.1f} |"
    )


def _against_random(by_name: dict[str, dict[int, Row]]) -> list[str]:
    base = by_name.get("random")
    if base is None:
        return []
    lines = [
        "Difference to random search, seed by seed (paired bootstrap, 95 %); a difference whose "
        "interval holds 0 is a tie:",
        "",
        f"| strategy | {' | '.join(f'{mark} trials' for mark in MARKS)} |",
        f"|---|{'---|' * len(MARKS)}",
    ]
    for name, found in by_name.items():
        if name == "random":
            continue
        seeds = sorted(found.keys() & base.keys())
        cells: list[str] = []
        for mark in MARKS:
            gains = [found[s]["shares"][mark - 1] - base[s]["shares"][mark - 1] for s in seeds]
            low, high = interval(gains)
            verdict = "better" if low > 0 else "worse" if high < 0 else "tie"
            cells.append(f"{verdict} ({100 * low:+.1f} to {100 * high:+.1f} points)")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _with_interval(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{100 * statistics.fmean(values):.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean; always the same one for the same values."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.asarray(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def sparkline(values: Sequence[float]) -> str:
    """Values from 0.5 to 1 as bars."""
    places = (min(max(2 * value - 1, 0), 1) for value in values)
    return "".join(BARS[round(place * (len(BARS) - 1))] for place in places)


def head(seeds: int) -> str:
    """The first lines of the document: what was measured how, and on what."""
    return (
        f"# Strategies, measured\n\n`python -m search bench strategies --seeds {seeds}` on "
        f"tests/benchmarks/table.json, which `python -m search bench table` trains; "
        f"{len(os.sched_getaffinity(0))} cores that other programs load as well.\n\n"
    )
