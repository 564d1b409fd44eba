"""Which networks the table of trained networks holds: an index stands for one training, for ever.

The largest part is by the proxy recipe on sr-x2. Of ten designs two are published ones at six
sizes, four repeat one random design in all stages, two draw every stage anew, and two are mutants
of good ones among the finished. The other parts train every third or seventh design of that part
once more: with another seed, on other tasks, for ten times as long.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Row
from budgets.assess import CostSettings, assess, reference_size
from budgets.budget import Cost
from lightir_core.architecture import Architecture
from lightir_core.data.tasks import Task, parse_task
from lightir_core.errors import LightIRError, SearchError
from lightir_core.learning.recipe import Recipe
from lightir_core.published.presets import PRESETS, shrink
from lightir_core.seeds import derive
from results.pareto import pareto_front
from search.strategies.strategy import mutated
from spaces import DEFAULT, Choices, TaskShape
from spaces.default import FULL

TASK = "sr-x2"
LONGER = 10
"""How many times as long the last part is trained."""

SIZES = (100_000, 50_000, 200_000, 25_000, 350_000, 500_000)
"""Parameters of the published designs; those in the middle first."""

KINDS = ("preset", "repeated", "drawn", "repeated", "mutant") * 2
"""Where a design comes from, by the last digit of its index."""

BANDS = (25_000, 500_000)
"""Between these, log-uniformly, begin the bands of parameters that random designs are drawn for."""

BAND, MIDDLE = 1.15, 1.07
"""A band's end as a multiple of its beginning, and what is nearest where nothing is in it."""

SMALLEST, LARGEST = 20_000, 500_000
"""Parameters that no random design is beyond."""

LEAST_MACS, DRAWN_MACS, MUTANT_MACS = 6e9, 50e9, 60e9
"""At 1280x720: a random design's limit is drawn between the first two, log-uniformly, so that cheap
networks of every size are among them; a mutant's is the last."""

ATTEMPTS = 150
"""Draws of which the nearest to the band is taken where none is in it."""

BLOCK = 40
"""Mutants descend from the whole blocks of so many designs before their own."""

FAMILY = 8
"""Fewest networks to choose a parent from, and of how many one is good."""


@dataclass(frozen=True)
class Design:
    """A network of the plan, its point of the default space, and where it comes from."""

    origin: str
    architecture: Architecture
    choices: Choices | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A range of indices, all trained alike.

    Attributes:
        first: index of its first training.
        count: of its trainings.
        stride: which designs of the first part it takes: 3 is every third.
        task: what is restored.
        is_long: whether it is trained `LONGER` times as long, by the other recipe.
    """

    first: int
    count: int
    stride: int = 1
    task: str = TASK
    is_long: bool = False


PARTS: dict[str, Part] = {
    "sr-x2": Part(first=0, count=1000),
    "seeds": Part(first=10_000, count=40, stride=7),
    "denoise": Part(first=20_000, count=100, stride=3, task="denoise:25"),
    "derain": Part(first=30_000, count=100, stride=3, task="derain"),
    "long": Part(first=40_000, count=60, stride=7, is_long=True),
}
"""By name, in the order they are trained. Strides share no factor with the ten of `KINDS`."""


@dataclass(frozen=True)
class Training:
    """One line of the table to be.

    Attributes:
        index: what it stands for.
        source: index of its design.
        task: what is restored.
        recipe: how it is trained.
    """

    index: int
    source: int
    task: str
    recipe: Recipe

    @property
    def seed(self) -> int:
        """Return what decides the first weights and the patches."""
        return derive(0, "prior-table", self.index)

    @property
    def checks(self) -> tuple[int, ...]:
        """Return the steps at which the curve is measured: an eighth, then each quarter."""
        return tuple(sorted({max(1, self.recipe.steps * n // 8) for n in (1, 2, 4, 6, 8)}))


def list_trainings(
    names: Sequence[str], short: Recipe, long: Recipe, count: int | None = None
) -> list[Training]:
    """Return the trainings of some parts, in the order of the plan.

    Args:
        names: keys of `PARTS`.
        short: the recipe of all parts but the long one.
        long: that one's, over `LONGER` times as many steps as `short`.
        count: of each part at most so many, or None.
    """
    longest = long.lasting(LONGER * short.steps)
    return [
        Training(part.first + n, n * part.stride, part.task, longest if part.is_long else short)
        for name, part in PARTS.items()
        if name in names
        for n in range(min(part.count, count or part.count))
    ]


def make_design(index: int, rows: Mapping[int, Row]) -> Design | None:
    """Return the design of an index on sr-x2, or None while rows that it descends from are missing.

    Args:
        index: of the first part.
        rows: of finished trainings by their index; a mutant's parents are among them.

    Raises:
        SearchError: chance makes no network of the sizes that are wanted.
    """
    kind = KINDS[index % len(KINDS)]
    if kind == "preset":
        return _preset(index // 5) or _drawn(index, repeated=True)
    if kind == "mutant":
        before = range(index // BLOCK * BLOCK)
        return _mutant(index, [rows[i] for i in before]) if all(i in rows for i in before) else None
    return _drawn(index, repeated=kind == "repeated")


def transferred(design: Design, task: str) -> Design | None:
    """Return the same design for another task, or None where a preset has no network so small."""
    if task == TASK:
        return design
    if design.choices is not None:
        made = DEFAULT.decode(design.choices, _shape(parse_task(task)))
        return Design(design.origin, made, design.choices)
    _, name, size = design.origin.split()
    return _shrunk(name, int(size), task)


def cost_of(architecture: Architecture, task: str) -> Cost:
    """Return parameters, and MACs at the task's reference size."""
    return assess(
        architecture, ("params", "macs"), CostSettings(sizes=(reference_size(parse_task(task)),))
    )


def _preset(number: int) -> Design | None:
    """Return a published design at one of the sizes; None after the last."""
    sized = [(size, name) for size in SIZES for name in PRESETS]
    if number >= len(sized):
        return None
    size, name = sized[number]
    return _shrunk(name, size, TASK)


def _shrunk(name: str, size: int, task: str) -> Design | None:
    try:
        made = shrink(name, lambda network: cost_of(network, task).params <= size, task)
    except LightIRError:  # not even its smallest network fits
        return None
    return Design(f"preset {name} {size}", made, None)


def _shape(task: Task) -> TaskShape:
    return TaskShape(task.scale, task.in_channels, task.out_channels)


def _drawn(index: int, *, repeated: bool) -> Design:
    """Draw until a network is in a random band of sizes; settle for the nearest after a while."""
    rng = random.Random(derive(0, "prior-table", index))
    low = BANDS[0] * (BANDS[1] / BANDS[0]) ** rng.random()
    begin, end = round(low), round(low * BAND)
    most_macs = LEAST_MACS * (DRAWN_MACS / LEAST_MACS) ** rng.random()
    nearest: tuple[float, Architecture, Choices] | None = None
    for attempt, choices in enumerate(_points(rng, repeated=repeated)):
        if nearest is not None and attempt >= ATTEMPTS:
            break
        priced = _priced(choices, most_macs)
        if priced is None:
            continue
        made, params = priced
        miss = abs(params / begin - MIDDLE)
        if nearest is None or miss < nearest[0]:
            nearest = miss, made, choices
        if begin <= params <= end:
            break
    if nearest is None:
        raise SearchError(f"training {index} of the table: no network within the limits was drawn")
    return Design("repeated" if repeated else "drawn", nearest[1], nearest[2])


def _points(rng: random.Random, *, repeated: bool) -> Iterator[Choices]:
    change: Callable[[Choices], Choices] = _repeated if repeated else dict
    for _ in range(10 * ATTEMPTS):
        yield change(FULL.sample(rng))


def _priced(choices: Choices, most_macs: float) -> tuple[Architecture, int] | None:
    """Return a point's network and parameters, or None if it is beyond the limits."""
    try:
        made = DEFAULT.decode(choices, _shape(parse_task(TASK)))
    except LightIRError:  # a first stage cannot always be repeated
        return None
    cost = cost_of(made, TASK)
    within = SMALLEST <= cost.params <= LARGEST and cost.macs <= most_macs
    return (made, cost.params) if within else None


def _repeated(choices: Choices) -> Choices:
    """Return the point with the first stage's design in all stages."""
    network = {name: value for name, value in choices.items() if "." not in name}
    first = {k.partition(".")[2]: v for k, v in choices.items() if k.startswith("stage1.")}
    numbers = range(1, int(choices["stages"]) + 1)
    stages = itertools.product(numbers, first.items())
    return network | {f"stage{number}.{name}": value for number, (name, value) in stages}


def _mutant(index: int, before: Sequence[Mapping[str, Any]]) -> Design:
    """Return a good network of those before, changed by one to three mutations."""
    rng = random.Random(derive(0, "prior-table", index))
    pool = [row for row in before if row["choices"] and not row["reason"]]
    if len(pool) < FAMILY:
        return _drawn(index, repeated=True)
    points = [(row["params"], -row["curve"][-1][1]) for row in pool]
    best = sorted(range(len(pool)), key=lambda i: points[i][1])[: max(FAMILY, len(pool) // FAMILY)]
    parent = pool[rng.choice(sorted({*pareto_front(points), *best}))]
    taken = {row["id"] for row in before}
    for _ in range(400):
        choices = mutated(DEFAULT, parent["choices"], rng)
        for _ in range(rng.randrange(0, 3)):
            choices = mutated(DEFAULT, choices, rng)
        priced = _priced(choices, MUTANT_MACS)
        if priced is not None and priced[0].id not in taken:
            return Design(f"mutant {parent['id']}", priced[0], choices)
    return _drawn(index, repeated=True)
