"""Train fixed networks in different ways, each for so many CPU-seconds of one core.

The number of steps is what fits: the time of a step is measured before all races of a network, one
way after the other, and the shortest of some rounds counts: what other programs do to a core
would else give one side more steps. Validation and the data path's start are not counted.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.harness import DataFolders, More, Out, Row, Step, Val, one_core, student
from benchmarks.options import decimals
from benchmarks.tries import SIZES, SYSTEMS, TRIES, Attempt, choose_systems, find_try, system
from lightir_core.architecture import Architecture
from lightir_core.data.datasets import Pair, validation_set
from lightir_core.data.image_source import ImageSource, open_images, validation_crops
from lightir_core.errors import TrainingError
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.step import Batches
from lightir_core.learning.training import train
from lightir_core.network import build
from lightir_core.seeds import derive
from search.config import SearchConfig

CPU = torch.device("cpu")
CHECKS = 4
"""Points of the curve."""

TIMED = 8
"""Steps whose mean is the time of one: not all are alike where patches grow."""

CALM = 1e-6
"""A rate at which nothing diverges."""

ROUNDS = 4
"""Of them the fastest counts."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Which races are run.

    Attributes:
        attempts: by name; the others are compared with the first.
        systems: kind and size of each network.
        seconds: of CPU time.
        seeds: so many races of everything.
        source: task and images.
        test: images to score the trained networks on, or None.
    """

    attempts: dict[str, Attempt]
    systems: tuple[tuple[str, str], ...]
    seconds: tuple[float, ...]
    seeds: int
    source: ImageSource
    test: Path | None = None


class _Clock:
    """Batches of another source, and when each was asked for, in CPU seconds."""

    def __init__(self, source: Batches) -> None:
        self._source = source
        self.times: list[float] = []

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        self.times.append(time.process_time())
        return self._source.batch(seed, step, batch, patch_px)


def rows_of(
    setting: Setting, folder: Path, log: Callable[[str], None], *, more: bool = True
) -> list[Row]:
    """Return rows of all races, kept in `folder`; goes on where it was stopped."""
    task = setting.source.task
    # a folder that is of no use is refused before anything is raced
    test = validation_set(task, setting.test) if setting.test else ()
    timed = harness.measure(folder / "pace.jsonl", _timings(setting), log, more=more)
    seconds = {(row["kind"], row["size"]): row["step_s"] for row in timed}
    steps = _races(setting, seconds, test)
    return harness.measure(folder / "recipe.jsonl", steps, log, more=more)


def _key(setting: Setting, *parts: object) -> str:
    source = setting.source
    return " ".join(map(str, (*parts, source.task, *source.data, source.val or "")))


def _timings(setting: Setting) -> Iterator[Step]:
    """Time all ways one after the other in every round, so that a busy machine hurts all alike."""
    for kind, size in setting.systems:
        network = system(kind, size, setting.source.task)
        recipes = [(name, one.recipe.lasting(1)) for name, one in setting.attempts.items()]
        run = partial(_timing, {"kind": kind, "size": size}, network, setting)
        yield _key(setting, network.id, recipes), run


def _timing(known: Row, network: Architecture, setting: Setting) -> Row:
    attempts = setting.attempts
    return known | {
        "step_s": dict(
            zip(attempts, step_seconds(network, [*attempts.values()], setting.source), strict=True)
        )
    }


@one_core()
def step_seconds(
    network: Architecture, attempts: Sequence[Attempt], source: ImageSource, rounds: int = ROUNDS
) -> list[float]:
    """Return CPU seconds of a training step of each attempt on one core, patches included."""

    def once(attempt: Attempt) -> float:
        clock = _Clock(open_images(source).training)
        # a step takes as long at any rate
        calm = replace(attempt, recipe=replace(attempt.recipe, lr=CALM, matrix_lr=CALM))
        _fit(network, calm, clock, TIMED + 2, 0, lambda _: 0.0, 1)
        return (clock.times[-1] - clock.times[1]) / TIMED  # the first steps set things up

    times = [[once(attempt) for attempt in attempts] for _ in range(rounds)]
    return [min(each) for each in zip(*times, strict=True)]


def _races(
    setting: Setting,
    seconds_of: Mapping[tuple[str, str], Mapping[str, float]],
    test: Sequence[Pair],
) -> Iterator[Step]:
    everything = product(
        range(setting.seeds), setting.seconds, setting.systems, setting.attempts.items()
    )
    for seed, seconds, (kind, size), (name, attempt) in everything:
        network = system(kind, size, setting.source.task)
        key = _key(setting, f"{seconds:g}s", network.id, name, seed, attempt.recipe.lasting(1))
        known = {"seconds": seconds, "kind": kind, "size": size, "recipe": name, "seed": seed}
        step_s = seconds_of.get((kind, size), {}).get(name, math.inf)
        weights = derive(0, "recipe", seed)
        run = partial(
            _race, known, network, attempt, setting.source, seconds / step_s, weights, test
        )
        yield key if setting.test is None else f"{key} {setting.test}", run


def _race(known: Row, *arguments: object) -> Row:
    return known | race(*arguments)  # pyright: ignore[reportArgumentType]  bound in `_races`


@one_core()
def race(
    network: Architecture,
    attempt: Attempt,
    source: ImageSource,
    steps: float,
    seed: int,
    test: Sequence[Pair] = (),
) -> Row:
    """Train for so many steps on one core, with weights and patches from `seed`.

    Returns:
        `score` on the validation crops in dB and `test` on whole images that nothing was chosen by,
        NaN if the training failed or there are none; `steps`, `cpu_s` and `curve`.
    """
    task, crops = source.task, validation_crops(source)
    aside = 0.0

    def validate(network: nn.Module) -> float:
        nonlocal aside
        begun = time.process_time()
        score = evaluate(network, crops, task, CPU, (task.metric,), fast=True).mean[task.metric]
        aside += time.process_time() - begun
        return score

    data, count = open_images(source).training, max(CHECKS, int(steps))
    begun = time.process_time()
    try:
        trained, curve = _fit(network, attempt, data, count, seed, validate, CHECKS)
    except TrainingError:
        return {"score": math.nan, "test": math.nan, "steps": 0, "cpu_s": 0.0, "curve": []}
    spent = time.process_time() - begun - aside
    tested = evaluate(trained, test, task, CPU, (task.metric,)).mean if test else {}
    scores = {"score": curve[-1][1], "test": tested.get(task.metric, math.nan)}
    return scores | {"steps": count, "cpu_s": spent, "curve": [list(point) for point in curve]}


def _fit(
    architecture: Architecture,
    attempt: Attempt,
    data: Batches,
    steps: int,
    seed: int,
    validate: Callable[[nn.Module], float],
    checks: int,
) -> tuple[nn.Module, tuple[tuple[int, float], ...]]:
    torch.manual_seed(seed)
    network = build(attempt.shape(architecture) if attempt.shape else architecture)
    if attempt.begin:
        attempt.begin(network)
    curve = train(
        network,
        attempt.patches(data, steps) if attempt.patches else data,
        attempt.recipe.lasting(steps),
        seed=seed,
        device=CPU,
        validate=validate,
        checks=checks,
        half=attempt.half,
    )
    return network, curve


def document(rows: Sequence[Row], setting: Setting) -> list[str]:
    """Return tables by size, then by network, then the same on the test images, as Markdown."""
    names = tuple(setting.attempts)
    lines = _tables(rows, names)
    if setting.test is None:
        return lines
    tested = [row | {"score": row["test"]} for row in rows]
    title = f"On {'/'.join(setting.test.parts[-2:])}:"
    return [*lines, "", title, "", *_tables(tested, names)]


def _tables(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    by_network = _table(rows, names, "network", lambda row: f"{row['kind']} {row['size']}")
    return [*_table(rows, names, "size", lambda row: row["size"]), "", *by_network]


def _table(
    rows: Sequence[Row], names: Sequence[str], what: str, label: Callable[[Row], str]
) -> list[str]:
    cells: list[list[str]] = []
    groups = dict.fromkeys((row["seconds"], label(row)) for row in rows)
    for seconds, group in sorted(groups, key=lambda known: known[0]):
        mine = [row for row in rows if (row["seconds"], label(row)) == (seconds, group)]
        races = [
            {(r["kind"], r["size"], r["seed"]): r for r in mine if r["recipe"] == name}
            for name in names
        ]
        steps = " / ".join(map(_steps, races))
        cells.append([f"{seconds:g}", group, *map(_score, races), _lead(*races), steps])
    heads = (f"{name}:" for name in (*names, "ahead of the best other", "steps"))
    return harness.table(["CPU-seconds:", what, *heads], cells)


Races = Mapping[tuple[str, str, int], Row]
"""Those of one recipe, by kind, size and seed."""


def _score(races: Races) -> str:
    """Return the mean of those that did not fail, and how many did."""
    whole = [race["score"] for race in races.values() if math.isfinite(race["score"])]
    failed = len(races) - len(whole)
    mean = [f"{statistics.fmean(whole):.2f}"] if whole else []
    return ", ".join([*mean, *([f"{failed} failed"] if failed else [])])


def _steps(races: Races) -> str:
    steps = [race["steps"] for race in races.values() if math.isfinite(race["score"])]
    return f"{statistics.fmean(steps):,.0f}" if steps else "-"


def _lead(first: Races, *others: Races) -> str:
    """Return how far the first is ahead of the best other, in dB, with its interval over races.

    One that failed in a race, or was not raced against the first, is no such other.
    """
    leads = [
        [first[race]["score"] - other[race]["score"] for race in first if race in other]
        for other in others
    ]
    whole = [lead for lead in leads if lead and all(map(math.isfinite, lead))]
    if not whole:
        return ""
    mean, half = student(min(whole, key=statistics.fmean))
    return f"{mean:+.2f} ± {half:.2f}" if math.isfinite(half) else f"{mean:+.2f}"


def recipe(
    recipes: Annotated[
        str, typer.Option(help=f"Joined by commas: {', '.join(TRIES)}; a name, or a file.")
    ] = "proxy,papers-2e-4,papers-2e-3",
    seconds: Annotated[str, typer.Option(help="Of CPU time, joined by commas.")] = "60",
    kinds: Annotated[str, typer.Option(help="Kinds of network.")] = ",".join(SYSTEMS),
    sizes: Annotated[str, typer.Option(help="Sizes of network.")] = ",".join(SIZES),
    seeds: Annotated[int, typer.Option(help="Races of everything.", min=1)] = 1,
    task: Annotated[str, typer.Option(help="What to restore.")] = SearchConfig().data.task,
    data: DataFolders = None,
    val: Val = None,
    test: Annotated[
        Path | None, typer.Option(help="Folder that trained networks are scored on too.")
    ] = None,
    keep: Annotated[Path, typer.Option(help="Where races are kept.")] = Path("runs/bench-recipe"),
    title: Annotated[str, typer.Option(help="Of the section.")] = "Recipes at equal time",
    out: Out = None,
    more: More = True,
) -> None:
    """Ways to train against each other at equal CPU-seconds of one core, on fixed networks.

    Goes on where it was stopped.

    Example:  python -m benchmarks recipe --recipes proxy,papers-2e-3 --seconds 30,60
    """
    setting = Setting(
        attempts={name: find_try(name) for name in recipes.split(",")},
        systems=choose_systems(kinds, sizes),
        seconds=decimals("--seconds", seconds),
        seeds=seeds,
        source=harness.source(task, data, val),
        test=None if test is None else test.resolve(),
    )
    rows = rows_of(setting, keep, harness.log, more=more)
    harness.publish(f"## {title}", document(rows, setting), out)
