"""Regularised evolution for any number of objectives.

Real et al., Regularized evolution for image classifier architecture search (AAAI 2019): the
population is a queue of the latest trials. The oldest leaves, not the worst, so that a lucky score
cannot stay for ever. A parent is the best of a few drawn from it, and its child differs by one
mutation. Differs from the paper: "best" is by non-dominated rank and crowding where there are
several objectives, a generation of children is made at once, and mutations know the stages.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from lightir_core.seeds import derive
from results.objectives import minimised
from search.feasible.space import Candidate
from search.strategies.fitness import fitness
from search.strategies.strategy import Setting
from spaces import Choices, Space

GENERATIONS = 4
"""Generations of trials that the population holds."""

TOURNAMENT = 0.25
"""Share of the population that a parent is the best of, as in the paper."""

COPIED_STAGE = 0.2
"""Share of mutations that copy one stage over another, where there are several."""


class EvolutionStrategy:
    """Children of the best of the latest trials."""

    def __init__(self, setting: Setting) -> None:
        """Start without trials."""
        self._setting = setting
        self._size = GENERATIONS * setting.generation
        self._population = deque[tuple[Choices, tuple[float, ...]]](maxlen=self._size)
        self._running: dict[int, Candidate] = {}
        self._taken: set[str] = set()

    def propose(self, number: int) -> Candidate:
        """See `Strategy.propose`."""
        rng = random.Random(derive(self._setting.seed, "propose", number))
        feasible = self._setting.feasible
        child = {}
        if number >= self._setting.generation and self._population:
            child = mutated(feasible.space, self._parent(rng), rng)
        candidate = feasible.near(child, rng, self._taken)
        self._taken.add(candidate.architecture.id)
        self._running[number] = candidate
        return candidate

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """See `Strategy.observe`."""
        candidate = self._running.pop(number)
        if values is not None:
            point = minimised(self._setting.objectives, values)
            self._population.append((candidate.choices, point))

    def _parent(self, rng: random.Random) -> Choices:
        size = max(2, round(TOURNAMENT * len(self._population)))
        drawn = rng.sample(range(len(self._population)), min(size, len(self._population)))
        order = fitness([point for _, point in self._population])
        return self._population[min(drawn, key=order.__getitem__)][0]


def mutated(space: Space, parent: Choices, rng: random.Random) -> Choices:
    """The parent with one choice redrawn, or with one of its stages copied over another."""
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
