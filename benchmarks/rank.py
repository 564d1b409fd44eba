"""Does a short training rank networks as a long one does? Kendall's tau between the two.

Networks are drawn from a space within a budget, spread over the sizes that fit; as many more have
about the same number of parameters, where size cannot tell them apart. Every finished training is
kept in a file, so an interrupted measurement goes on where it stopped.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from benchmarks.costs.part import Bench, Part, Row, measure
from benchmarks.signals import read, signals
from budgets.budget import Budget
from lightir_core.learning.recipe import Recipe
from lightir_core.seeds import derive
from search.feasible.space import Candidate, Feasible
from search.jobs import Source

SMALLEST = 0.25
"""Limits of the first candidate, as a share of the budget."""

BAND = 0.1
"""How far the parameters of the band's networks may be from its middle."""

RESAMPLES = 2000
"""Of the networks, for an interval."""

TRUTH = "last score"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained, and how.

    Attributes:
        feasible: where networks come from.
        count: networks spread over the sizes.
        band: middle of the band, in parameters; 0 for none.
        banded: networks in the band.
        recipe: of the short trainings.
        lengths: their steps.
        truth: recipe of the long training.
        source: task and images.
        seed: decides the networks and the trainings.
    """

    feasible: Feasible
    count: int
    band: int
    banded: int
    recipe: Recipe
    lengths: tuple[int, ...]
    truth: Recipe
    source: Source
    seed: int


@dataclass(frozen=True)
class Agreement:
    """How one signal of one short length ranks.

    Attributes:
        steps: length of the short training; 0 for what needs none.
        signal: a key of `benchmarks.signals.SIGNALS`, or "parameters" or "MACs".
        among: which networks, and how many of them.
        tau: Kendall's tau-b with the scores of the long training.
        low: of the 95 % bootstrap interval over the networks.
        high: likewise.
    """

    steps: int
    signal: str
    among: str
    tau: float
    low: float
    high: float


def draw(feasible: Feasible, count: int, seed: int) -> list[Candidate]:
    """Random candidates of different size: limits rise evenly from `SMALLEST` to the whole."""
    rng = random.Random(derive(seed, "rank"))
    taken: set[str] = set()
    drawn: list[Candidate] = []
    for index in range(count):
        share = Feasible(
            feasible.space,
            feasible.shape,
            feasible.budget.scaled(SMALLEST + (1 - SMALLEST) * index / max(1, count - 1)),
            feasible.size,
        )
        drawn.append(share.near({}, rng, taken))
        taken.add(drawn[-1].architecture.id)
    return drawn


def draw_band(
    feasible: Feasible, middle: int, count: int, seed: int, taken: set[str]
) -> list[Candidate]:
    """Random candidates with about `middle` parameters, up to `BAND` more or less."""
    if not count:
        return []
    most, least = round(middle * (1 + BAND)), round(middle * (1 - BAND))
    others = [f"{axis}={limit:g}" for axis, limit in feasible.budget.limits if axis != "params"]
    budget = Budget.parse(",".join([f"params={most}", *others]))
    band = replace(feasible, budget=budget, fill=1 - least / most)
    rng = random.Random(derive(seed, "band"))
    drawn: list[Candidate] = []
    for _ in range(count):
        drawn.append(band.near({}, rng, taken))
        taken.add(drawn[-1].architecture.id)
    return drawn


def train_all(
    setting: Setting, folder: Path, tell: Callable[[str], None], *, more: bool = True
) -> list[Row]:
    """Rows of all trainings, kept in `folder` one by one; goes on where it was stopped.

    Args:
        setting: what is trained.
        folder: holds rows.
        tell: hears of every new row.
        more: whether to train what is missing.
    """
    part = Part("rank", "Ranking", lambda bench: _steps(setting), lambda rows: [])
    return measure(part, Bench(setting.seed), folder, tell, more=more)[0]


def _steps(setting: Setting) -> Iterator[tuple[str, Callable[[], Row]]]:
    spread = draw(setting.feasible, setting.count, setting.seed)
    taken = {candidate.architecture.id for candidate in spread}
    band = draw_band(setting.feasible, setting.band, setting.banded, setting.seed, taken)
    for index, candidate in enumerate([*spread, *band]):
        short = (setting.recipe.lasting(steps) for steps in setting.lengths)
        for recipe in (*short, setting.truth):
            key = f"{candidate.architecture.id} {setting.source} {recipe}"
            seed = derive(setting.seed, "train", index)
            yield key, partial(_train, candidate, recipe, setting.source, seed)


def _train(candidate: Candidate, recipe: Recipe, source: Source, seed: int) -> Row:
    reading = read(candidate.architecture, recipe, source, seed)
    return {
        "id": candidate.architecture.id,
        "params": candidate.cost.params,
        "macs": candidate.cost.macs,
        "steps": recipe.steps,
        "cpu_s": round(reading.cpu_s, 1),
        "curve": [round(score, 4) for score in reading.curve],
        "signals": signals(reading),
    }


def agreements(rows: Sequence[Row], band: int) -> list[Agreement]:
    """How each signal of each length but the longest ranks, among all networks and in the band."""
    longest = max(row["steps"] for row in rows)
    truth = {row["id"]: row for row in rows if row["steps"] == longest}
    inside = (
        {name for name, row in truth.items() if abs(row["params"] / band - 1) <= BAND + 0.01}
        if band
        else set()
    )
    groups = {f"all {len(truth)}": set(truth), f"the {len(inside)} of ±{BAND:.0%}": inside}
    found: list[Agreement] = []
    for among, names in groups.items():
        if len(names) < 3:
            continue
        for steps, signal, scores in _columns(rows, longest):
            ids = sorted(names & scores.keys())
            pairs = np.array([(scores[i], truth[i]["signals"][TRUTH]) for i in ids])
            found.append(Agreement(steps, signal, among, *_interval(pairs)))
    return found


def _columns(rows: Sequence[Row], longest: int) -> Iterator[tuple[int, str, dict[str, float]]]:
    """Everything that could rank: its length, its name, its value for each network."""
    for steps in sorted({row["steps"] for row in rows} - {longest}):
        short = [row for row in rows if row["steps"] == steps]
        for signal in short[0]["signals"]:
            yield steps, signal, {row["id"]: row["signals"][signal] for row in short}
    for name, key in (("parameters", "params"), ("MACs", "macs")):
        yield 0, name, {row["id"]: float(row[key]) for row in rows}


def _interval(pairs: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Kendall's tau of two columns, and its 95 % bootstrap interval over the lines."""
    rng = np.random.default_rng(0)
    picks = rng.integers(len(pairs), size=(RESAMPLES, len(pairs)))
    taus = [_tau(pairs[pick]) for pick in picks]
    told = [tau for tau in taus if not math.isnan(tau)] or [math.nan]
    low, high = np.percentile(told, (2.5, 97.5))
    return _tau(pairs), float(low), float(high)


def _tau(pairs: np.ndarray[Any, Any]) -> float:
    found: Any = kendalltau(pairs[:, 0], pairs[:, 1])  # its type hides the fields
    return float(found.statistic)


def table(rows: Sequence[Row], band: int) -> list[str]:
    """Lines of Markdown: every network's scores, then how well each signal ranks."""
    lengths = sorted({row["steps"] for row in rows})
    by = {(row["id"], row["steps"]): row for row in rows}
    longest = [row for row in rows if row["steps"] == lengths[-1]]
    heads = " | ".join(f"{steps:,} steps" for steps in lengths)
    lines = [f"| network | parameters | MACs | {heads} | CPU-seconds |"]
    lines += ["|---|---:|---:|" + "---:|" * (len(lengths) + 1)]
    for row in sorted(longest, key=lambda row: -row["signals"][TRUTH]):
        mine = [by[row["id"], steps] for steps in lengths if (row["id"], steps) in by]
        scores = " | ".join(f"{r['signals'][TRUTH]:.3f}" for r in mine)
        spent = ", ".join(f"{r['cpu_s']:.0f}" for r in mine)
        params, macs = row["params"] / 1e3, row["macs"] / 1e9
        lines.append(f"| {row['id']} | {params:.1f}k | {macs:.2f}G | {scores} | {spent} |")
    lines += ["", "| among | steps | signal | Kendall's tau | 95 % |", "|---|---:|---|---:|---|"]
    lines += [
        f"| {a.among} | {a.steps or ''} | {a.signal} | {a.tau:.2f} | {a.low:.2f} to {a.high:.2f} |"
        for a in agreements(rows, band)
    ]
    return lines
