"""Races as rows that are kept, and as tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks.compression import interval
from benchmarks.costs.part import Bench, Part, Row, measure
from benchmarks.recipes.attempt import Attempt
from benchmarks.recipes.race import Entrant, paces, race
from benchmarks.recipes.systems import system
from lightir_core.architecture import Architecture
from lightir_core.data.datasets import Pair, validation_set
from lightir_core.data.tasks import parse_task
from lightir_core.learning.recipe import Recipe
from lightir_core.seeds import derive
from search.jobs import Source


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
    source: Source
    test: Path | None = None

    def test_pairs(self) -> tuple[Pair, ...]:
        """The test images, each with its degraded form.

        Raises:
            DataError: the folder cannot be used.
        """
        return validation_set(parse_task(self.source.task), self.test) if self.test else ()


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
    test = setting.test_pairs()  # a folder that is of no use is told before anything is raced
    timing = Part("pace", "Steps", lambda _: _timings(setting), lambda rows: [])
    timed = measure(timing, Bench(), folder, tell, more=more)[0]
    found = {(row["kind"], row["size"]): row["paces"] for row in timed}
    races = partial(_races, setting=setting, found=found, test=test)
    part = Part("recipe", "Recipes", races, lambda rows: [])
    return measure(part, Bench(), folder, tell, more=more)[0]


Paces = dict[tuple[str, str], dict[str, float]]
"""CPU seconds of a step, by kind and size, then by the name of a try."""


def _timings(setting: Setting) -> Iterator[tuple[str, Callable[[], Row]]]:
    """All ways to train a network in turns, so that what the machine does hits all."""
    for kind, size in setting.systems:
        entrants = {name: _entrant(setting, kind, size, name) for name in setting.attempts}
        told = " ".join(f"{name} {_told(attempt)}" for name, attempt in setting.attempts.items())
        key = f"{_network(setting, kind, size).id} {_images(setting)} {told}"
        yield key, partial(_timing, {"kind": kind, "size": size}, entrants, setting.source)


def _timing(known: Row, entrants: dict[str, Entrant], source: Source) -> Row:
    found = paces(list(entrants.values()), source)
    return known | {"paces": dict(zip(entrants, found, strict=True))}


def _races(
    bench: Bench, setting: Setting, found: Paces, test: Sequence[Pair]
) -> Iterator[tuple[str, Callable[[], Row]]]:
    everything = product(range(setting.seeds), setting.seconds, setting.systems, setting.attempts)
    for seed, seconds, (kind, size), name in everything:
        entrant = _entrant(setting, kind, size, name)
        place = f"{seconds:g}s {entrant.architecture.id} {name} {seed}"
        key = f"{place} {_images(setting)} {_told(entrant.attempt)}"
        key += "" if setting.test is None else f" {setting.test}"
        known = {"seconds": seconds, "kind": kind, "size": size, "recipe": name, "seed": seed}
        weights = derive(bench.seed, "recipe", seed)
        steps = int(seconds / found[kind, size][name]) if (kind, size) in found else 0
        yield key, partial(_row, known, entrant, setting.source, steps, weights, test)


def _row(
    known: Row, entrant: Entrant, source: Source, steps: int, seed: int, test: Sequence[Pair]
) -> Row:
    return known | asdict(race(entrant, source, steps, seed, test=test))


def _entrant(setting: Setting, kind: str, size: str, name: str) -> Entrant:
    return Entrant(architecture=_network(setting, kind, size), attempt=setting.attempts[name])


def _told(attempt: Attempt) -> Recipe:
    """What tells tries of one name apart, as a file's content may change."""
    return attempt.recipe.lasting(1)


def _network(setting: Setting, kind: str, size: str) -> Architecture:
    return system(kind, size, parse_task(setting.source.task))


def _images(setting: Setting) -> str:
    source = setting.source
    return " ".join((source.task, *source.data, source.val or ""))


def tables(rows: Sequence[Row], setting: Setting) -> list[str]:
    """Lines of Markdown: by size, then by network; then the same on the test images.

    Args:
        rows: of all races.
        setting: what was raced; the first is held against the best of the others.
    """
    names = tuple(setting.attempts)
    lines = _tables(rows, names)
    if setting.test is None:
        return lines
    title = f"On {'/'.join(setting.test.parts[-2:])}:"
    tested = [row | {"score": row["test"]} for row in rows]
    return [*lines, "", title, "", *_tables(tested, names)]


def _tables(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    by_network = _table(rows, names, "network", lambda row: f"{row['kind']} {row['size']}")
    return [*_table(rows, names, "size", lambda row: row["size"]), "", *by_network]


def _table(
    rows: Sequence[Row], names: Sequence[str], what: str, label: Callable[[Row], str]
) -> list[str]:
    columns = ["CPU-seconds", what, *names, "ahead of the best other", "steps"]
    lines = [_line(columns), _line(["---:", "---", *["---:"] * (len(names) + 2)])]
    groups = dict.fromkeys((row["seconds"], label(row)) for row in rows)
    for seconds, group in sorted(groups, key=lambda known: known[0]):
        mine = [row for row in rows if (row["seconds"], label(row)) == (seconds, group)]
        found = {name: _by_race(mine, name) for name in names}
        scores = (_score(races) for races in found.values())
        steps = " / ".join(_steps(races) for races in found.values())
        lines.append(_line([f"{seconds:g}", group, *scores, _lead(*found.values()), steps]))
    return lines


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


Races = dict[tuple[str, str, int], Row]
"""Those of one recipe, by kind, size and seed."""


def _by_race(rows: Iterable[Row], name: str) -> Races:
    return {(r["kind"], r["size"], r["seed"]): r for r in rows if r["recipe"] == name}


def _score(races: Races) -> str:
    """The mean of those that did not fail, and how many did."""
    scores = [race["score"] for race in races.values()]
    whole = [score for score in scores if math.isfinite(score)]
    failed = len(scores) - len(whole)
    told = [f"{statistics.fmean(whole):.2f}"] if whole else []
    return ", ".join([*told, *([f"{failed} failed"] if failed else [])])


def _steps(races: Races) -> str:
    steps = [race["steps"] for race in races.values() if math.isfinite(race["score"])]
    return f"{statistics.fmean(steps):,.0f}" if steps else "-"


def _lead(first: Races, *others: Races) -> str:
    """How far the first is ahead of the best other, in dB, and the interval of it over races.

    Who failed in one of them, or was not raced against the first, is no such other.
    """
    leads = [
        [first[race]["score"] - other[race]["score"] for race in first if race in other]
        for other in others
    ]
    whole = [lead for lead in leads if lead and all(map(math.isfinite, lead))]
    if not whole:
        return ""
    mean, half = interval(min(whole, key=statistics.fmean))
    return f"{mean:+.2f} ± {half:.2f}" if math.isfinite(half) else f"{mean:+.2f}"
