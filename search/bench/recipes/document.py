"""Races as rows that are kept, and as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path

from lightir_core.data.tasks import parse_task
from lightir_core.learning.recipe import Recipe
from search.bench.compression import interval
from search.bench.costs.part import Bench, Part, Row, measure
from search.bench.recipes.race import Entrant, race
from search.bench.recipes.systems import system
from search.evaluators.job import Source
from search.seeds import derive

PAPERS = "papers"
"""How the names of recipes begin that start the first layer as the papers do."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Which races are run.

    Attributes:
        recipes: by name; the others are compared with the first.
        systems: kind and size of each network.
        seconds: of CPU time.
        seeds: so many races of everything.
        source: task and images.
    """

    recipes: dict[str, Recipe]
    systems: tuple[tuple[str, str], ...]
    seconds: tuple[float, ...]
    seeds: int
    source: Source


def run_races(
    setting: Setting, folder: Path, tell: Callable[[str], None], *, more: bool = True
) -> list[Row]:
    """Rows of all races, kept in `folder` one by one; goes on where it was stopped.

    Args:
        setting: what is raced.
        folder: holds rows.
        tell: hears of every new row.
        more: whether to run what is missing.
    """
    part = Part("recipe", "Recipes", lambda bench: _steps(bench, setting), lambda rows: [])
    return measure(part, Bench(), folder, tell, more=more)[0]


def _steps(bench: Bench, setting: Setting) -> Iterator[tuple[str, Callable[[], Row]]]:
    """The recipes of one network stand side by side, so that what the machine does hits all."""
    everything = product(
        range(setting.seeds), setting.seconds, setting.systems, setting.recipes.items()
    )
    for seed, seconds, (kind, size), (name, recipe) in everything:
        architecture = system(kind, size, parse_task(setting.source.task))
        place = f"{setting.source.task} {seconds:g}s {architecture.id} {name} {seed}"
        photographs = " ".join((*setting.source.data, setting.source.val or ""))
        key = f"{place} {photographs} {recipe.lasting(1)}"
        known = {"seconds": seconds, "kind": kind, "size": size, "recipe": name, "seed": seed}
        entrant = Entrant(
            architecture=architecture, recipe=recipe, plain_stem=name.startswith(PAPERS)
        )
        weights = derive(bench.seed, "recipe", seed)
        yield key, partial(_row, known, entrant, setting.source, weights)


def _row(known: Row, entrant: Entrant, source: Source, seed: int) -> Row:
    return known | asdict(race(entrant, source, float(known["seconds"]), seed))


def tables(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Lines of Markdown: each recipe's mean by size and time, and how far it is from the first."""
    lines = ["| CPU-seconds | size | recipe | PSNR, dB | to the first | steps |"]
    lines += ["|---:|---:|---|---:|---:|---:|"]
    times = sorted({row["seconds"] for row in rows})
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    for seconds, size in product(times, [*sizes, "all"]):
        mine = [r for r in rows if r["seconds"] == seconds and size in ("all", r["size"])]
        first = _by_race(mine, names[0])
        for name in names:
            found = _by_race(mine, name)
            gains = [found[race]["score"] - first[race]["score"] for race in found if race in first]
            if gains:
                scores = (row["score"] for row in found.values())
                steps = sum(row["steps"] for row in found.values()) / len(found)
                gain = "" if name == names[0] else _told(gains, signed=True)
                lines.append(
                    f"| {seconds:g} | {size} | {name} | {_told(scores)} | {gain} | {steps:,.0f} |"
                )
    return lines


def _by_race(rows: Iterable[Row], name: str) -> dict[tuple[str, str, int], Row]:
    return {(r["kind"], r["size"], r["seed"]): r for r in rows if r["recipe"] == name}


def _told(values: Iterable[float], *, signed: bool = False) -> str:
    """The mean; of differences with its interval, which over different networks means something."""
    mean, half = interval(list(values))
    return f"{mean:+.3f} ± {half:.3f}" if signed else f"{mean:.3f}"
