"""Rungs against whole trainings on the objective table: what the same training finds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer

from benchmarks import harness
from benchmarks.harness import More, Out, Row, kendall
from benchmarks.overhead import no_job
from benchmarks.strategies import attainable
from benchmarks.table import GENERATION, OBJECTIVES, STEPS, TABLE, Entry, Table, read_table
from lightir_core.learning.curve import Point
from lightir_core.learning.recipe import PROXY
from results.objectives import minimised, values_of
from results.pareto import hypervolume
from results.study import Record
from search.feasible.candidate import Candidate
from search.jobs import Job, Outcome, Silent, drive_function
from search.loop import Limits, Search
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario

ETA = 2
KINDS = {
    "none": ("none", 0),
    "asha from a half": ("asha", STEPS // 2),
    "asha from a quarter": ("asha", STEPS // 4),
    "hyperband from a quarter": ("hyperband", STEPS // 4),
}
"""Fidelity and lowest rung; the table knows scores after each quarter of the steps."""

MARKS = (8, 16, 24, 32)
"""Training spent, in whole trainings, at which the document reports the hypervolume."""

TRIALS = 88
"""Enough to spend the last mark at any fidelity."""

STRATEGY = "nsga2"


class _Reader:
    """Work that looks scores up, and adds up the steps that training would have taken."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._reached: dict[int, int] = {}
        self.spent: list[tuple[int, int]] = []
        """(steps of all trainings so far, its number) for each trial that went to its end."""

    def __call__(self, job: Job) -> Outcome:
        """Return what the table holds of a job."""
        assert job.until is not None, "a search says how far to train"
        self._reached[job.number] = job.until
        if not job.pauses:
            self.spent.append((sum(self._reached.values()), job.number))
        curve = _mean_curve(self._table.entries[job.architecture.id])
        seen = tuple(point for point in curve if point[0] <= job.until)
        scores = {OBJECTIVES[0].name: seen[-1][1]}
        return Outcome(number=job.number, scores=scores, curve=seen)


def _mean_curve(entry: Entry) -> list[Point]:
    """Return the mean of all trainings of a network."""
    means = (fmean(score for _, score in points) for points in zip(*entry.curves, strict=True))
    return [(step, mean) for (step, _), mean in zip(entry.curves[0], means, strict=True)]


def rows_of(
    table: Table, seeds: int, folder: Path, log: Callable[[str], None], *, more: bool = True
) -> list[Row]:
    """Return one row for each search, kept in `folder`; goes on where it was stopped."""
    steps = (
        (f"{kind}-{seed}", partial(play, table, kind, seed))
        for seed in range(seeds)
        for kind in KINDS
    )
    return harness.measure(folder / "fidelities.jsonl", steps, log, more=more)


def play(table: Table, kind: str, seed: int) -> Row:
    """Search once; return the share of the reachable hypervolume at each mark."""
    feasible, reader = table.within, _Reader(table)
    fidelity, lowest = KINDS[kind]

    def job(number: int, candidate: Candidate, until: int) -> Job:
        return replace(no_job(number, candidate, seed, until), recipe=PROXY.lasting(STEPS))

    with (
        TemporaryDirectory() as folder,
        Record.create(Path(folder), OBJECTIVES, feasible.space.distributions()) as record,
    ):
        search = Search(
            STRATEGIES[STRATEGY](Scenario(feasible, OBJECTIVES, GENERATION, seed)),
            record,
            job,
            Limits(TRIALS, GENERATION, float("inf")),
            Silent(),
            rungs_for(fidelity, STEPS, ETA, lowest),
        )
        drive_function(search, reader)
        trials = {trial.number: trial for trial in record.trials()}
    points = {
        number: minimised(OBJECTIVES, values_of(OBJECTIVES, trial.scores, trial.cost))
        for number, trial in trials.items()
    }
    reachable, reference = attainable(table)
    reached = [
        [points[number] for total, number in reader.spent if total <= mark * STEPS]
        for mark in MARKS
    ]
    return {
        "kind": kind,
        "seed": seed,
        "shares": [hypervolume(some, reference) / reachable for some in reached],
        "begun": sum(trial.state != "running" for trial in trials.values()),
        "whole": len(reader.spent),
        "trainings": reader.spent[-1][0] / STEPS,
    }


def agreements(table: Table) -> dict[int, float]:
    """Return Kendall's tau of the scores after so many steps with the last ones."""
    curves = [_mean_curve(entry) for entry in table.allowed]
    last = [curve[-1][1] for curve in curves]
    return {
        step: kendall([curve[index][1] for curve in curves], last)
        for index, (step, _) in enumerate(curves[0][:-1])
    }


def document(table: Table, rows: Sequence[Row]) -> list[str]:
    """Return the shares of each kind, and how far each is from whole trainings, as Markdown."""
    taus = ", ".join(f"{tau:.2f} after {step} steps" for step, tau in agreements(table).items())
    base = {row["seed"]: row for row in rows if row["kind"] == "none"}
    cells: list[list[str]] = []
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        begun = fmean(row["begun"] / row["trainings"] for row in mine)
        shares = [_cell(mine, base, mark) for mark in range(len(MARKS))]
        cells.append([kind, *shares, f"{begun:.2f}"])
    columns = ["fidelity", *(f"{mark} trainings:" for mark in MARKS), "trials a training:"]
    return [
        f"{STRATEGY} on the same table and budget; rungs after a quarter and a half, or a half "
        f"alone, of {STEPS} steps, and one in {ETA} goes on. Share of the reachable hypervolume "
        "once training has taken as many steps as so many whole trainings; difference to none seed "
        f"by seed (95 % bootstrap). Of the {len(table.allowed)} networks within budget, Kendall's "
        f"tau of the score with that of the whole training: {taus}.",
        "",
        *harness.table(columns, cells),
    ]


def _cell(rows: Sequence[Row], base: Mapping[int, Row], mark: int) -> str:
    mean = f"{100 * fmean(row['shares'][mark] for row in rows):.1f} %"
    if rows[0]["kind"] == "none":
        return mean
    gains = [row["shares"][mark] - base[row["seed"]]["shares"][mark] for row in rows]
    return f"{mean}, {harness.compare(gains)}"


def fidelities(
    seeds: Annotated[int, typer.Option(help="Searches of each kind.", min=1)] = 30,
    file: Annotated[Path, typer.Option("--table", help="Of `table`.")] = TABLE,
    keep: Annotated[Path, typer.Option(help="Where searches are kept.")] = Path(
        "runs/bench-fidelities"
    ),
    out: Out = None,
    more: More = True,
) -> None:
    """Rungs against whole trainings on real scores, without training.

    Goes on where it was stopped.

    Example:  python -m benchmarks fidelities --seeds 10
    """
    torch.set_num_threads(1)
    table = read_table(file)
    rows = rows_of(table, seeds, keep, harness.log, more=more)
    harness.publish("## Rungs", document(table, rows), out)
