"""A search space as data: dimensions with conditions and rules; sample, mutate, cross, count.

A point of a space is a plain dict of choices, `{"width": 48, "stages": 2, "stage1.blocks": 2, …}`,
holding exactly the dimensions that are active. `complete` is the one function that makes points:
it walks the dimensions in order, keeps what it is given where that is allowed, and draws the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from lightir_core.architecture import Architecture
from lightir_core.errors import SpaceError, nearest
from spaces.decode import (
    NETWORK_DEFAULTS,
    RULES,
    STAGE_DEFAULTS,
    TaskShape,
    Value,
    check_value,
    decode_network,
)

Choices = dict[str, Value]


@dataclass(frozen=True)
class When:
    """Active only if the dimension called `name` has one of `values`."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Dimension:
    """One question and its possible answers, in the order they are shown."""

    name: str
    values: tuple[Value, ...]
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        """Refuse empty and repeated answers."""
        if not self.values:
            raise SpaceError(f"dimension {self.name!r} has no values; give it at least one")
        if len(set(self.values)) < len(self.values):
            raise SpaceError(f"dimension {self.name!r} repeats a value: {list(self.values)}")

    def is_active(self, known: Mapping[str, Value]) -> bool:
        """Return whether all conditions hold among the choices made so far."""
        return all(known.get(c.name) in c.values for c in self.when)


@dataclass(frozen=True)
class Space:
    """Dimensions of the network and of each stage.

    Attributes:
        name: shown to people and stored in the run.
        network: decided once; must hold `width` and `stages`.
        stage: decided for each stage, after `network`.
        summary: one line for `python -m search spaces`.
        repeats: whether a sample has one design in all its stages; mutations change single ones.
    """

    name: str
    network: tuple[Dimension, ...]
    stage: tuple[Dimension, ...]
    summary: str = ""
    repeats: bool = False

    def __post_init__(self) -> None:
        """Check names, values, order of conditions, and that every rule leaves an answer."""
        _check_names(self.network, NETWORK_DEFAULTS, "network")
        _check_names(self.stage, STAGE_DEFAULTS, "stage")
        names = [d.name for d in self.network]
        for needed in ("width", "stages"):
            if needed not in names:
                raise SpaceError(f"space {self.name!r} has no dimension {needed!r}")
        _check_order(self.network + self.stage)
        _ = self.size  # counting asks every rule, which raises where it leaves no answer

    def dimension(self, name: str) -> Dimension:
        """Return the dimension called `name` ("width", "stage2.heads" or plain "heads")."""
        plain = name.rpartition(".")[2]
        for dimension in self.network + self.stage:
            if dimension.name == plain:
                return dimension
        known = [d.name for d in self.network + self.stage]
        raise SpaceError(f"no dimension {name!r} in space {self.name!r}{nearest(plain, known)}")

    def complete(self, given: Mapping[str, Value], rng: random.Random) -> Choices:
        """Keep what `given` allows of a point and draw all other choices."""
        choices = _walk(self.network, given, {}, "", rng)
        for number in range(1, int(choices["stages"]) + 1):
            if _is_leader(number, choices):
                known = {**choices, "stage": number}
                choices.update(_walk(self.stage, given, known, f"stage{number}.", rng))
        return choices

    def sample(self, rng: random.Random) -> Choices:
        """Draw a random point: each choice uniform among the values allowed there.

        Where stages repeat each other, all are as the last, which rules forbid least, as far as
        they allow.
        """
        point = self.complete({}, rng)
        if not self.repeats:
            return point
        kept = {name: value for name, value in point.items() if "." not in name}
        last = {k.partition(".")[2]: v for k, v in point.items() if "." in k}
        for number in range(1, int(point["stages"]) + 1):
            kept |= {f"stage{number}.{name}": value for name, value in last.items()}
        return self.complete(kept, rng)

    def mutate(self, parent: Mapping[str, Value], rng: random.Random) -> Choices:
        """Return the parent with one of its choices redrawn to another allowed value."""
        child = dict(parent)
        free = [name for name in child if len(self.options(name, child)) > 1]
        if not free:
            return child
        name = rng.choice(free)
        child[name] = rng.choice([v for v in self.options(name, child) if v != child[name]])
        return self.complete(child, rng)

    def cross(
        self, mother: Mapping[str, Value], father: Mapping[str, Value], rng: random.Random
    ) -> Choices:
        """Cross two points: each choice comes from either parent, stages mostly stay whole."""
        given: Choices = {}
        sides = {d.name: rng.random() < 0.5 for d in self.network}
        for name in sorted({*mother, *father}):
            group, _, _ = name.rpartition(".")
            side = sides.setdefault(group or name, rng.random() < 0.5)
            first, second = (mother, father) if side else (father, mother)
            given[name] = first[name] if name in first else second[name]
        return self.complete(given, rng)

    def options(self, name: str, choices: Mapping[str, Value]) -> tuple[Value, ...]:
        """List the values that the named choice may take, all earlier choices as they are."""
        group, _, plain = name.rpartition(".")
        dimension = self.dimension(plain)
        known = dict(choices)
        if group:
            prefix = group + "."
            known |= {k[len(prefix) :]: v for k, v in choices.items() if k.startswith(prefix)}
            known["stage"] = int(group.removeprefix("stage"))
        return _allowed(dimension, known)

    def decode(self, choices: Mapping[str, Value], shape: TaskShape) -> Architecture:
        """Build the architecture that a point stands for."""
        return decode_network(choices, shape)

    def distributions(self) -> dict[str, tuple[Value, ...]]:
        """List every choice that can occur, with all its values, active or not."""
        most = max(int(v) for v in self.dimension("stages").values)
        out = {d.name: d.values for d in self.network}
        for number in range(1, most + 1):
            out.update({f"stage{number}.{d.name}": d.values for d in self.stage})
        return out

    @cached_property
    def size(self) -> int:
        """How many points the space holds, exactly."""
        total = 0
        seen_by_stages = frozenset[str]().union(*(depends(d) for d in self.stage))
        for skeleton in self.skeletons():
            seen = frozenset((k, v) for k, v in skeleton.items() if k in seen_by_stages)
            product = 1
            for number in range(1, int(skeleton["stages"]) + 1):
                if _is_leader(number, skeleton):
                    product *= _count(self.stage, seen, number)
            total += product
        return total

    def restrict(self, only: Mapping[str, Sequence[Value]]) -> Space:
        """Cut the named dimensions down to some of their values.

        Raises:
            SpaceError: an unknown dimension, or a value that it does not have.
        """
        for name, values in only.items():
            dimension = self.dimension(name)
            if name != dimension.name:
                raise SpaceError(
                    f"{name!r} is a choice of one stage; {dimension.name!r} is restricted in all"
                )
            known = dimension.values
            for value in values:
                if value not in known:
                    raise SpaceError(f"{name} has no value {value!r}; it has {list(known)}")
        return Space(
            name=self.name,
            network=tuple(_restricted(d, only) for d in self.network),
            stage=tuple(_restricted(d, only) for d in self.stage),
            summary=self.summary,
            repeats=self.repeats,
        )

    def skeletons(self) -> Iterator[Choices]:
        """Yield all combinations of the network's own dimensions."""
        yield from combinations(self.network, {})


def _walk(
    dimensions: Sequence[Dimension],
    given: Mapping[str, Value],
    known: Mapping[str, Value],
    prefix: str,
    rng: random.Random,
) -> Choices:
    """Draw choices for `dimensions`, named with `prefix`; they may depend on `known`."""
    made: Choices = {}
    seen = dict(known)
    for dimension in dimensions:
        if not dimension.is_active(seen):
            continue
        values = _allowed(dimension, seen)
        wish = given.get(prefix + dimension.name)
        value = wish if wish is not None and wish in values else rng.choice(values)
        made[prefix + dimension.name] = seen[dimension.name] = value
    return made


def _allowed(dimension: Dimension, known: Mapping[str, Value]) -> tuple[Value, ...]:
    """List the values that the rules permit beside the choices made so far; never empty."""
    rule = RULES.get(dimension.name)
    values = tuple(v for v in dimension.values if rule is None or rule.allows(v, known))
    if not values:
        raise SpaceError(
            f"none of {dimension.name}={list(dimension.values)} fits width={known.get('width')}; "
            f"add a value that does or leave that width out"
        )
    return values


def _is_leader(number: int, choices: Mapping[str, Value]) -> bool:
    """Tell whether stage `number` makes its own choices or shares an earlier one's."""
    return (number - 1) % int(choices.get("stage_sharing", 1)) == 0


def combinations(dimensions: Sequence[Dimension], known: Choices) -> Iterator[Choices]:
    """Yield `known` with every combination of answers to the active `dimensions`."""
    if not dimensions:
        yield dict(known)
        return
    first, rest = dimensions[0], dimensions[1:]
    if not first.is_active(known):
        yield from combinations(rest, known)
        return
    for value in _allowed(first, known):
        yield from combinations(rest, {**known, first.name: value})


@lru_cache(maxsize=4096)
def _count(
    stage: tuple[Dimension, ...], skeleton: frozenset[tuple[str, Value]], number: int
) -> int:
    """Count the points of one stage, over what later dimensions can see, not one by one."""
    needed = [frozenset(depends(d) for d in stage[i:]) for i in range(len(stage))]
    sees = [frozenset[str]().union(*names) for names in needed]

    @cache
    def count(position: int, context: frozenset[tuple[str, Value]]) -> int:
        if position == len(stage):
            return 1
        known = dict(context)
        dimension = stage[position]
        if not dimension.is_active(known):
            return count(position + 1, context)
        later = sees[position + 1] if position + 1 < len(stage) else frozenset[str]()
        total = 0
        for value in _allowed(dimension, known):
            then = {**known, dimension.name: value}
            total += count(position + 1, frozenset((k, v) for k, v in then.items() if k in later))
        return total

    return count(0, skeleton | {("stage", number)})


def depends(dimension: Dimension) -> frozenset[str]:
    """Name the choices that decide whether `dimension` is asked and what it may answer."""
    rule = RULES.get(dimension.name)
    return frozenset(c.name for c in dimension.when) | frozenset(rule.reads if rule else ())


def _restricted(dimension: Dimension, only: Mapping[str, Sequence[Value]]) -> Dimension:
    if dimension.name not in only:
        return dimension
    kept = tuple(v for v in dimension.values if v in only[dimension.name])
    return Dimension(dimension.name, kept, dimension.when)


def _check_names(dimensions: Sequence[Dimension], known: Mapping[str, Value], level: str) -> None:
    seen: set[str] = set()
    for dimension in dimensions:
        if dimension.name not in known:
            raise SpaceError(
                f"{dimension.name!r} is not a {level} dimension{nearest(dimension.name, known)}; "
                f"known: {', '.join(known)}"
            )
        if dimension.name in seen:
            raise SpaceError(f"dimension {dimension.name!r} appears twice")
        for value in dimension.values:
            check_value(dimension.name, value)
        seen.add(dimension.name)


def _check_order(dimensions: Sequence[Dimension]) -> None:
    """Check that conditions and rules only look at dimensions decided before.

    What a rule reads may also be missing: it has a default then, or is no dimension at all.
    """
    before: set[str] = set()
    there = {dimension.name for dimension in dimensions}
    for dimension in dimensions:
        rule = RULES.get(dimension.name)
        read = there.intersection(rule.reads if rule else ())
        for name in (*(condition.name for condition in dimension.when), *sorted(read)):
            if name not in before:
                raise SpaceError(
                    f"{dimension.name!r} depends on {name!r}, which is not decided before it; "
                    f"move it behind {name!r} or drop the condition"
                )
        before.add(dimension.name)
