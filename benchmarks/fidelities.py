"""Rungs against whole trainings on the objective table: what the same training finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from scipy.stats import kendalltau

from benchmarks.costs.part import Bench, Part, Row, measure
from benchmarks.overhead import no_job
from benchmarks.strategies import BUDGET, GENERATION, OBJECTIVES, interval
from benchmarks.table import STEPS, Entry, Table
from budgets.budget import Budget
from lightir_core.learning.curve import Point
from lightir_core.learning.recipe import PROXY
from results.objectives import minimised, values_of
from results.pareto import hypervolume, reference_point
from results.study import Record
from search.callbacks import Silent
from search.feasible.space import Candidate
from search.jobs import Job, Outcome
from search.loop import Limits, search
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
"""Training spent, in whole trainings, at which the document tells the hypervolume."""

TRIALS = 88
"""Enough to spend the last mark at any fidelity."""

STRATEGY = "nsga2"


class _Reader:
    """An engine that looks scores up, and adds up the steps that training would have taken."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._reached: dict[int, int] = {}
        self.spent: list[tuple[int, int]] = []
        """(steps of all trainings so far, its number) for each trial that went to its end."""

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """What the table holds of each job, at once."""
        for job in filter(None, jobs):
            assert job.until is not None, "a search says how far to train"
            self._reached[job.number] = job.until
            if not job.pauses:
                self.spent.append((sum(self._reached.values()), job.number))
            yield job, self._outcome(job, job.until)

    def _outcome(self, job: Job, until: int) -> Outcome:
        curve = _mean_curve(self._table.entries[job.architecture.id])
        so_far = tuple(point for point in curve if point[0] <= until)
        return Outcome(number=job.number, scores={self._table.metric: so_far[-1][1]}, curve=so_far)


def _mean_curve(entry: Entry) -> list[Point]:
    """Of all trainings of a network."""
    means = (fmean(score for _, score in points) for points in zip(*entry.curves, strict=True))
    return [(step, mean) for (step, _), mean in zip(entry.curves[0], means, strict=True)]


def rows_of(
    table: Table, seeds: int, folder: Path, tell: Callable[[str], None], *, more: bool = True
) -> list[Row]:
    """One row for each search, kept in `folder`; goes on where it was stopped."""

    def steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
        for seed in range(seeds):
            for kind in KINDS:
                yield f"{kind}-{seed}", partial(play, table, kind, seed, folder)

    part = Part("fidelities", "Rungs", steps, lambda rows: [])
    return measure(part, Bench(), folder, lambda text: tell(text.partition(": ")[0]), more=more)[0]


def play(table: Table, kind: str, seed: int, folder: Path) -> Row:
    """One search; the share of the reachable hypervolume that it had at each mark."""
    feasible = replace(table.feasible, budget=Budget.parse(BUDGET))
    engine = _Reader(table)
    fidelity, lowest = KINDS[kind]
    with (
        TemporaryDirectory(dir=folder) as run,
        Record.create(Path(run), OBJECTIVES, feasible.space.distributions()) as record,
    ):
        search(
            STRATEGIES[STRATEGY](Scenario(feasible, OBJECTIVES, GENERATION, seed)),
            record,
            engine,
            lambda number, candidate, until: _job(number, candidate, seed, until),
            Limits(TRIALS, GENERATION, float("inf")),
            Silent(),
            rungs_for(fidelity, STEPS, ETA, lowest),
        )
        trials = {trial.number: trial for trial in record.trials()}
    points = {
        number: minimised(OBJECTIVES, values_of(OBJECTIVES, trial.scores, trial.cost))
        for number, trial in trials.items()
    }
    return {
        "kind": kind,
        "seed": seed,
        "shares": [_share(table, points, engine.spent, mark * STEPS) for mark in MARKS],
        "begun": sum(trial.state != "running" for trial in trials.values()),
        "whole": len(engine.spent),
        "trainings": engine.spent[-1][0] / STEPS,
    }


def _job(number: int, candidate: Candidate, seed: int, until: int) -> Job:
    return replace(no_job(number, candidate, seed, until), recipe=PROXY.lasting(STEPS))


def _share(
    table: Table,
    points: Mapping[int, Sequence[float]],
    spent: Sequence[tuple[int, int]],
    steps: int,
) -> float:
    """Of the hypervolume of all that the budget allows, by trials that ended within `steps`."""
    reachable = [
        minimised(OBJECTIVES, (entry.score, float(entry.candidate.cost.macs)))
        for entry in _allowed(table)
    ]
    reference = reference_point(reachable)
    found = [points[number] for total, number in spent if total <= steps]
    return hypervolume(found, reference) / hypervolume(reachable, reference)


def _allowed(table: Table) -> list[Entry]:
    budget = Budget.parse(BUDGET)
    return [entry for entry in table.entries.values() if budget.allows(entry.candidate.cost)]


def _agreements(table: Table) -> str:
    """How scores on the way rank, in words."""
    curves = [_mean_curve(entry) for entry in _allowed(table)]
    last = [curve[-1][1] for curve in curves]
    places = list(enumerate(step for step, _ in curves[0][:-1]))
    taus = ((step, kendalltau([c[place][1] for c in curves], last)[0]) for place, step in places)
    return ", ".join(f"{tau:.2f} after {step} steps" for step, tau in taus)


def document(table: Table, rows: Sequence[Row], seeds: int) -> str:
    """What the rows say, as a section in Markdown."""
    lines = [
        "## Rungs",
        "",
        f"`python -m search bench fidelities --seeds {seeds}`: {STRATEGY} on the same table and "
        f"budget; rungs after a quarter and a half, or a half alone, of {STEPS} steps, and one in "
        f"{ETA} goes on. Share of the reachable hypervolume once training has taken as many steps "
        f"as so many whole trainings; difference to none seed by seed (95 % bootstrap). Of the "
        f"{len(_allowed(table))} networks within budget, Kendall's tau of the score with that of "
        f"the whole training: {_agreements(table)}.",
        "",
        f"| fidelity | {' | '.join(f'{mark} trainings' for mark in MARKS)} | trials a training |",
        f"|---|{'--:|' * len(MARKS)}--:|",
    ]
    base = {row["seed"]: row for row in rows if row["kind"] == "none"}
    for kind in KINDS:
        found = [row for row in rows if row["kind"] == kind]
        cells = [_cell(found, base, place) for place in range(len(MARKS))]
        begun = fmean(row["begun"] / row["trainings"] for row in found)
        lines.append(f"| {kind} | {' | '.join(cells)} | {begun:.2f} |")
    return "\n".join(lines) + "\n"


def _cell(found: Sequence[Row], base: Mapping[int, Row], place: int) -> str:
    mean = f"{100 * fmean(row['shares'][place] for row in found):.1f} %"
    if found[0]["kind"] == "none":
        return mean
    gains = [row["shares"][place] - base[row["seed"]]["shares"][place] for row in found]
    low, high = interval(gains)
    verdict = "better" if low > 0 else "worse" if high < 0 else "tie"
    return f"{mean}, {verdict} ({100 * low:+.1f} to {100 * high:+.1f})"
