"""Strategies: what every one is given and must do, what most share, and random search.

Optimisers that know no conditions see a point as a row that answers every question of the space.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lightir_core.seeds import derive
from results.objectives import Objective, minimised
from search.feasible.candidate import Candidate, CandidateSource
from spaces.rules import Value
from spaces.space import Choices, Space

INACTIVE = "-"
"""The answer to a question that is not asked at a point: a value like any other to a model."""

Row = dict[str, Value]


@dataclass(frozen=True)
class Scenario:
    """What a strategy searches: the feasible space, the objectives, and how its trials are seeded.

    Attributes:
        feasible: the space and its budget.
        objectives: what is optimised, in the order of the observed values.
        generation: trials that are proposed before the first of them is observed.
        seed: of all proposals.
    """

    feasible: CandidateSource
    objectives: tuple[Objective, ...]
    generation: int
    seed: int


class Strategy(Protocol):
    """Proposes candidates; the same calls in the same order give the same proposals.

    A generation of proposals is made, then observed in the order of its numbers: that makes a
    search independent of how many workers run it and of when they finish.
    """

    def propose(self, number: int) -> Candidate:
        """Return the candidate of trial `number`: within budget, and none proposed before.

        Raises:
            SearchError: nothing new is left.
        """
        ...

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Take in the objective values of trial `number`; None if it failed."""
        ...


class SeedingStrategy:
    """Keeps the books of a strategy that draws from a generator of its own for each trial."""

    def __init__(self, scenario: Scenario) -> None:
        """Start without trials."""
        self._scenario = scenario
        self._seen: list[tuple[Choices, tuple[float, ...]]] = []
        self._running: dict[int, Candidate] = {}
        self._taken: set[str] = set()

    def propose(self, number: int) -> Candidate:
        """Return a candidate that was not proposed before, drawn by (seed, trial number)."""
        candidate = self._choose(number, derive(self._scenario.seed, "propose", number))
        self._taken.add(candidate.architecture.id)
        self._running[number] = candidate
        return candidate

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Remember the point of trial `number`, all objectives minimised; nothing if it failed."""
        candidate = self._running.pop(number)
        if values is not None:
            point = minimised(self._scenario.objectives, values)
            self._seen.append((candidate.choices, point))

    def _choose(self, number: int, seed: int) -> Candidate:
        raise NotImplementedError


class UniformStrategy(SeedingStrategy):
    """Draws uniformly from what the budget allows, nothing twice; scores are not looked at."""

    def _choose(self, number: int, seed: int) -> Candidate:
        return self._scenario.feasible.draw(random.Random(seed), self._taken)


def answers(space: Space) -> dict[str, tuple[Value, ...]]:
    """List every open question with its answers, `INACTIVE` among them if it may not be asked."""
    always = {d.name for d in space.network if not d.when}
    return {
        name: values if name in always else (*values, INACTIVE)
        for name, values in space.distributions().items()
        if len(values) > 1 or name not in always
    }


def to_row(known: Mapping[str, tuple[Value, ...]], choices: Mapping[str, Value]) -> Row:
    """Answer all questions of `known` for a point."""
    return {name: choices.get(name, INACTIVE) for name in known}


def to_wish(row: Mapping[str, Value]) -> Choices:
    """Turn a row into choices; answers to questions that are not asked there do no harm."""
    return {name: value for name, value in row.items() if value != INACTIVE}
