"""Strategies against each other on the objective table: real scores, no training, many seeds."""

import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import harness
from benchmarks.harness import More, Out, Row, bootstrap
from benchmarks.table import BUDGET, GENERATION, OBJECTIVES, TABLE, Table, read_table
from results.objectives import minimised
from results.pareto import hypervolume, hypervolume_history, reference_point
from search.config import known
from search.feasible.candidate import Candidate
from search.strategies import STRATEGIES, Scenario

TRIALS = 64
MARKS = (16, 32, 48, 64)
"""Numbers of trials at which the document reports the hypervolume."""

BARS = "▁▂▃▄▅▆▇█"


def play(table: Table, name: str, seed: int) -> Row:
    """Search the table once; return how much of its hypervolume was reached after each trial."""
    feasible = table.within
    strategy = STRATEGIES[name](Scenario(feasible, OBJECTIVES, GENERATION, seed))
    made: list[Candidate] = []
    begun = time.process_time()
    for first in range(0, TRIALS, GENERATION):
        numbers = range(first, min(first + GENERATION, TRIALS))
        proposed = [strategy.propose(number) for number in numbers]
        for number, candidate in zip(numbers, proposed, strict=True):
            strategy.observe(number, table.entries[candidate.architecture.id].values)
        made += proposed
    seconds = time.process_time() - begun
    ids = [candidate.architecture.id for candidate in made]
    reachable, reference = attainable(table)
    scores = [minimised(OBJECTIVES, table.entries[one].values) for one in ids]
    return {
        "strategy": name,
        "seed": seed,
        "shares": [v / reachable for v in hypervolume_history(scores, reference)],
        "within": sum(feasible.budget.allows(c.cost) for c in made) / len(made),
        "duplicates": len(ids) - len(set(ids)),
        "ms": 1000 * seconds / len(made),
    }


def attainable(table: Table) -> tuple[float, Sequence[float]]:
    """Return the hypervolume of all that the budget allows, and its reference point."""
    everything = [minimised(OBJECTIVES, entry.values) for entry in table.allowed]
    reference = reference_point(everything)
    return hypervolume(everything, reference), reference


def document(table: Table, rows: Sequence[Row]) -> list[str]:
    """Return the tables of shares and of differences to random search, as Markdown."""
    by_name: dict[str, dict[int, Row]] = {}
    for row in rows:
        by_name.setdefault(row["strategy"], {})[row["seed"]] = row
    marks = [f"{mark} trials" for mark in MARKS]
    columns = ["strategy", "seeds:", *(f"{mark}:" for mark in marks), f"1 to {TRIALS}"]
    columns += ["within budget:", "duplicates:", "CPU ms a trial:"]
    lines = [
        f"Share of the reachable hypervolume (PSNR-Y and MACs) after so many trials, mean of the "
        f"seeds with a 95 % bootstrap interval. The table holds {len(table.entries)} networks, "
        f"{len(table.allowed)} of them within the budget of {BUDGET.text}; a generation is "
        f"{GENERATION} trials.",
        "",
        *harness.table(columns, ([n, *_cells(list(of.values()))] for n, of in by_name.items())),
    ]
    if (base := by_name.pop("random", None)) is None:
        return lines
    return [
        *lines,
        "",
        "Difference to random search, seed by seed (paired bootstrap, 95 %); a difference whose "
        "interval holds 0 is a tie:",
        "",
        *harness.table(
            ["strategy", *marks], ([n, *_against(of, base)] for n, of in by_name.items())
        ),
    ]


def _cells(rows: Sequence[Row]) -> list[str]:
    shares = list(zip(*(row["shares"] for row in rows), strict=True))
    cells = [str(len(rows))]
    for mark in MARKS:
        low, high = bootstrap(shares[mark - 1])
        mean = statistics.fmean(shares[mark - 1])
        cells.append(f"{100 * mean:.1f} % ({100 * low:.1f}–{100 * high:.1f})")
    within = statistics.fmean(row["within"] for row in rows)
    cells += [sparkline([statistics.fmean(values) for values in shares[3::4]]), f"{within:.0%}"]
    cells += [str(sum(row["duplicates"] for row in rows))]
    return [*cells, f"{statistics.median(row['ms'] for row in rows):.1f}"]


def _against(rows: dict[int, Row], base: dict[int, Row]) -> list[str]:
    seeds = sorted(rows.keys() & base.keys())
    return [
        harness.compare(
            [rows[s]["shares"][mark - 1] - base[s]["shares"][mark - 1] for s in seeds], " points"
        )
        for mark in MARKS
    ]


def sparkline(values: Sequence[float]) -> str:
    """Return values from 0.5 to 1 as bars."""
    heights = (min(max(2 * value - 1, 0), 1) for value in values)
    return "".join(BARS[round(height * (len(BARS) - 1))] for height in heights)


def strategies(
    names: Annotated[str, typer.Option("--strategies", help="Joined by commas.")] = ",".join(
        STRATEGIES
    ),
    seeds: Annotated[int, typer.Option(help="Searches of each strategy.", min=1)] = 30,
    file: Annotated[Path, typer.Option("--table", help="Of `table`.")] = TABLE,
    keep: Annotated[Path, typer.Option(help="Where searches are kept.")] = Path(
        "runs/bench-strategies"
    ),
    out: Out = None,
    more: More = True,
) -> None:
    """Strategies against each other on real scores, without training.

    Goes on where it was stopped.

    Example:  python -m benchmarks strategies --strategies random,nsga2,tpe --seeds 10
    """
    torch.set_num_threads(1)
    chosen = names.split(",")
    for name in chosen:
        known("strategy", name, STRATEGIES)
    table = read_table(file)
    steps = (
        (f"{name}-{seed}", partial(play, table, name, seed))
        for seed in range(seeds)
        for name in chosen
    )
    rows = harness.measure(keep / "strategies.jsonl", steps, more=more)
    harness.publish("# Strategies, measured", document(table, rows), out)
