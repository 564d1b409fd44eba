"""Regularised evolution for any number of objectives.

Real et al., Regularized evolution for image classifier architecture search (AAAI 2019): the
population is a queue of the latest trials. The oldest leaves, not the worst, so that a lucky score
cannot stay for ever. A parent is the best of a few drawn from it, and its child differs by one
mutation. Differs from the paper: "best" is by non-dominated rank and crowding where there are
several objectives, a generation of children is made at once, and mutations know the stages.
"""

from __future__ import annotations

import random

from search.feasible.candidate import Candidate
from search.strategies.fitness import fitness
from search.strategies.strategy import Scenario, SeedingStrategy
from spaces.space import Choices, Space

GENERATIONS = 4
"""Generations of trials that the population holds."""

TOURNAMENT = 0.25
"""Share of the population that a parent is the best of, as in the paper."""

COPIED_STAGE = 0.2
"""Share of mutations that copy one stage over another, where there are several."""


class EvolutionStrategy(SeedingStrategy):
    """Proposes children of the best of the latest trials."""

    def __init__(self, scenario: Scenario) -> None:
        """Start without trials."""
        super().__init__(scenario)
        self._size = GENERATIONS * scenario.generation

    @property
    def _population(self) -> list[tuple[Choices, tuple[float, ...]]]:
        return self._seen[-self._size :]

    def _choose(self, number: int, seed: int) -> Candidate:
        rng = random.Random(seed)
        feasible = self._scenario.feasible
        child = {}
        if number >= self._scenario.generation and self._population:
            child = mutated(feasible.space, self._parent(rng), rng)
        return feasible.near(child, rng, self._taken)

    def _parent(self, rng: random.Random) -> Choices:
        population = self._population
        size = max(2, round(TOURNAMENT * len(population)))
        drawn = rng.sample(range(len(population)), min(size, len(population)))
        order = fitness([point for _, point in population])
        return population[min(drawn, key=order.__getitem__)][0]


def mutated(space: Space, parent: Choices, rng: random.Random) -> Choices:
    """Return the parent with one choice redrawn, or with one of its stages copied over another."""
    stages = sorted({name.partition(".")[0] for name in parent if "." in name})
    if len(stages) > 1 and rng.random() < COPIED_STAGE:
        source, target = rng.sample(stages, 2)
        kept = {name: value for name, value in parent.items() if not name.startswith(f"{target}.")}
        copied = {
            f"{target}.{name.partition('.')[2]}": value
            for name, value in parent.items()
            if name.startswith(f"{source}.")
        }
        child = space.complete(kept | copied, rng)
        if child != parent:
            return child
    return space.mutate(parent, rng)
