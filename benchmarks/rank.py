"""Does a short training rank networks as a long one does? Kendall's tau between the two.

Networks are drawn from a space within a budget, spread over the sizes that fit; as many more have
about the same number of parameters, where size cannot tell them apart. A training is read in
several ways, all of which grow with the score, so that each can rank.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import nn

from benchmarks import harness
from benchmarks.harness import DataFolders, More, Out, Row, Step, Val, bootstrap, kendall
from benchmarks.options import wholes
from benchmarks.tries import find_recipe
from budgets.assess import reference_size
from budgets.budget import Budget, parse_count
from lightir_core.data.image_source import ImageSource, open_images, validation_crops
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.recipe import PROXY, Recipe
from lightir_core.learning.training import train
from lightir_core.network import build
from lightir_core.seeds import derive
from search.config import SearchConfig
from search.feasible.candidate import Candidate
from search.feasible.space import Feasible
from spaces import TaskShape, find_space

SMALLEST = 0.25
"""Limits of the first candidate, as a share of the budget."""

BAND = 0.1
"""How far the parameters of the band's networks may be from its middle."""

CHECKS = 8
"""Points of a curve."""

TRUTH = "last score"
CPU = torch.device("cpu")
DEFAULT = SearchConfig()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained, and how.

    Attributes:
        feasible: where networks come from.
        count: networks spread over the sizes.
        band: middle of the band, in parameters; 0 for none.
        banded: networks in the band.
        recipes: the short trainings, and the long one at the end.
        source: task and images.
        seed: decides the networks and the trainings.
    """

    feasible: Feasible
    count: int
    band: int
    banded: int
    recipes: tuple[Recipe, ...]
    source: ImageSource
    seed: int


def draw(feasible: Feasible, count: int, seed: int) -> list[Candidate]:
    """Return random candidates under limits that rise evenly from `SMALLEST` to the whole."""
    rng = random.Random(derive(seed, "rank"))
    drawn: dict[str, Candidate] = {}
    for index in range(count):
        share = SMALLEST + (1 - SMALLEST) * index / max(1, count - 1)
        within = replace(feasible, budget=feasible.budget.scaled(share), fill=0.0)
        candidate = within.near({}, rng, set(drawn))
        drawn[candidate.architecture.id] = candidate
    return list(drawn.values())


def draw_band(
    feasible: Feasible, middle: int, count: int, seed: int, taken: set[str]
) -> list[Candidate]:
    """Return random candidates with about `middle` parameters, up to `BAND` more or less."""
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


def rows_of(
    setting: Setting, folder: Path, log: Callable[[str], None], *, more: bool = True
) -> list[Row]:
    """Return rows of all trainings, kept in `folder`; goes on where it was stopped."""
    return harness.measure(folder / "rank.jsonl", _steps(setting), log, more=more)


def _steps(setting: Setting) -> Iterator[Step]:
    spread = draw(setting.feasible, setting.count, setting.seed)
    taken = {candidate.architecture.id for candidate in spread}
    band = draw_band(setting.feasible, setting.band, setting.banded, setting.seed, taken)
    for index, candidate in enumerate([*spread, *band]):
        for recipe in setting.recipes:
            seed = derive(setting.seed, "train", index)
            key = f"{candidate.architecture.id} {setting.source} {recipe} {seed}"
            yield key, partial(_train, candidate, recipe, setting.source, seed)


def _train(candidate: Candidate, recipe: Recipe, source: ImageSource, seed: int) -> Row:
    """Train a network on one core, weights and patches from `seed`, and score it on the way."""
    task, crops = source.task, validation_crops(source)
    seen: list[tuple[float, ...]] = []

    def validate(network: nn.Module) -> float:
        result = evaluate(network, crops, task, CPU, (task.metric,), fast=True)
        seen.append(tuple(scores[task.metric] for scores in result.images))
        return result.mean[task.metric]

    torch.manual_seed(seed)
    network = build(candidate.architecture)
    data = open_images(source).training
    begun = time.process_time()
    curve = train(network, data, recipe, seed=seed, device=CPU, validate=validate, checks=CHECKS)
    return {
        "id": candidate.architecture.id,
        "params": candidate.cost.params,
        "macs": candidate.cost.macs,
        "steps": recipe.steps,
        "cpu_s": round(time.process_time() - begun, 1),
        "signals": signals([step for step, _ in curve], seen),
    }


def signals(steps: Sequence[int], scores: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return what can rank: from the scores of every crop after each of the steps, in dB."""
    curve = [float(np.mean(crops)) for crops in scores]
    half = len(curve) // 2
    lowest = sorted(scores[-1])[: (len(scores[-1]) + 1) // 2]
    inverse = np.asarray(steps[half:], dtype=float) ** -0.5
    return {
        TRUTH: curve[-1],
        "mean of the last three": float(np.mean(curve[-3:])),
        "hard crops": float(np.mean(lowest)),
        "slope": curve[-1] - curve[half - 1],
        # where a curve a − b/√step through the second half's scores would end
        "extrapolated": float(np.polyfit(inverse, curve[half:], 1)[1]),
    }


def agreements(rows: Sequence[Row], band: int) -> list[Row]:
    """Return how each signal of each length but the longest ranks, over all and in the band."""
    longest = max(row["steps"] for row in rows)
    truth = {row["id"]: row for row in rows if row["steps"] == longest}
    inside = {
        n for n, row in truth.items() if band and abs(row["params"] / band - 1) <= BAND + 0.01
    }
    groups = {f"all {len(truth)}": set(truth), f"the {len(inside)} of ±{BAND:.0%}": inside}
    results: list[Row] = []
    for among, names in groups.items():
        for steps, signal, scores in _columns(rows, longest) if len(names) >= 3 else ():
            ids = sorted(names & scores.keys())
            short = [scores[one] for one in ids]
            long = [truth[one]["signals"][TRUTH] for one in ids]
            low, high = bootstrap(short, long, statistic=kendall)
            result = {"among": among, "steps": steps or "", "signal": signal}
            results.append(result | {"tau": kendall(short, long), "low": low, "high": high})
    return results


def _columns(rows: Sequence[Row], longest: int) -> Iterator[tuple[int, str, dict[str, float]]]:
    """Yield everything that could rank: its length, its name, its value for each network."""
    for steps in sorted({row["steps"] for row in rows} - {longest}):
        short = [row for row in rows if row["steps"] == steps]
        for signal in short[0]["signals"]:
            yield steps, signal, {row["id"]: row["signals"][signal] for row in short}
    for name, key in (("parameters", "params"), ("MACs", "macs")):
        yield 0, name, {row["id"]: float(row[key]) for row in rows}


def document(rows: Sequence[Row], band: int) -> list[str]:
    """Return every network's scores, then how well each signal ranks, as Markdown."""
    lengths = sorted({row["steps"] for row in rows})
    by = {(row["id"], row["steps"]): row for row in rows}
    cells: list[list[str]] = []
    longest = [row for row in rows if row["steps"] == lengths[-1]]
    for row in sorted(longest, key=lambda row: -row["signals"][TRUTH]):
        mine = [by[row["id"], steps] for steps in lengths if (row["id"], steps) in by]
        size = [row["id"], f"{row['params'] / 1e3:.1f}k", f"{row['macs'] / 1e9:.2f}G"]
        scores = (f"{one['signals'][TRUTH]:.3f}" for one in mine)
        cells.append([*size, *scores, ", ".join(f"{one['cpu_s']:.0f}" for one in mine)])
    heads = ["network", "parameters:", "MACs:", *(f"{steps:,} steps:" for steps in lengths)]
    ranks = (
        [
            a["among"],
            a["steps"],
            a["signal"],
            f"{a['tau']:.2f}",
            f"{a['low']:.2f} to {a['high']:.2f}",
        ]
        for a in agreements(rows, band)
    )
    columns = ["among", "steps:", "signal", "Kendall's tau:", "95 %"]
    return [*harness.table([*heads, "CPU-seconds:"], cells), "", *harness.table(columns, ranks)]


def rank(
    count: Annotated[int, typer.Option(help="Networks of all sizes.", min=2)] = 14,
    band: Annotated[str, typer.Option(help="Parameters of further networks; 0: none.")] = "40k",
    banded: Annotated[int, typer.Option(help="How many, up to 10% more or less.")] = 12,
    steps: Annotated[str, typer.Option(help="Short, joined by commas.")] = str(PROXY.steps),
    long: Annotated[int, typer.Option(help="The long length.", min=2)] = 10 * PROXY.steps,
    recipe: Annotated[str, typer.Option(help="A name, or a file.")] = DEFAULT.training.recipe,
    long_recipe: Annotated[
        str | None, typer.Option(help="Of the long length; default: the same.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Limits of the networks.")] = DEFAULT.search.budget,
    space: Annotated[str, typer.Option(help="Where networks come from.")] = DEFAULT.search.space,
    task: Annotated[str, typer.Option(help="What to restore.")] = DEFAULT.data.task,
    data: DataFolders = None,
    val: Val = None,
    seed: Annotated[int, typer.Option(help="Decides the networks and trainings.")] = 0,
    keep: Annotated[Path, typer.Option(help="Where trainings are kept.")] = Path("runs/bench-rank"),
    title: Annotated[str, typer.Option(help="Of the section.")] = "Ranking",
    out: Out = None,
    more: More = True,
) -> None:
    """Does a short training rank networks as a long one does?

    Goes on where it was stopped.

    Example:  python -m benchmarks rank --count 14 --steps 100,400 --long 4000
    """
    kind = parse_task(task)
    lengths = sorted(set(wholes("--steps", steps)))
    if lengths[-1] >= long:
        raise SearchError(f"--steps {steps}: use lengths below --long, {long}")
    shape = TaskShape(kind.scale, kind.in_channels, kind.out_channels)
    limits = Budget.parse(budget)
    short = [find_recipe(recipe).lasting(length) for length in lengths]
    setting = Setting(
        feasible=Feasible(find_space(space), shape, limits, reference_size(kind)),
        count=count,
        band=parse_count(band),
        banded=banded if parse_count(band) else 0,
        recipes=(*short, find_recipe(long_recipe or recipe).lasting(long)),
        source=harness.source(task, data, val),
        seed=seed,
    )
    rows = rows_of(setting, keep, harness.log, more=more)
    harness.publish(f"## {title}", document(rows, setting.band), out)
