"""Proposes what the prior expects most of: the published designs, draws, mutations of good ones.

The gain that is expected of a candidate is that of a normal distribution beyond a score to beat
(Jones et al., Efficient Global Optimization, 1998). Every other proposal has to beat the best score
of all, so that the budget is used, and those between them the best among networks that cost no
more, so that the front is served. What is under way counts with the score that is expected of it.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from budgets.budget import CHEAP
from search.feasible.candidate import Candidate
from search.strategies.strategy import Floats, Predictor, Scenario, SeedingStrategy, mutated
from spaces.space import Choices

DRAWS, MUTANTS = 400, 400
"""Candidates for a generation that are drawn, and that descend from the best of all known."""

PARENTS = 12
"""Of the mutants: so many of the best of both kinds, expected and observed."""

MOST_MUTATIONS = 3
"""Single changes that a mutant differs by from its parent."""


@dataclass(frozen=True)
class _Known:
    """A candidate that was proposed, and the score that it has or is expected to get."""

    candidate: Candidate
    score: float


class GuidedStrategy(SeedingStrategy):
    """Proposes by a prior."""

    def __init__(self, scenario: Scenario, prior: Predictor) -> None:
        """Start without trials; the prior learns from this run alone."""
        # what it starts with is proposed when most is expected of it
        super().__init__(replace(scenario, starts=()))
        self._starts, self._prior = scenario.starts, prior
        names = [objective.name for objective in scenario.objectives]
        self._quality = names.index(prior.metric)
        self._axes = [name for name in names if name in CHEAP] or [CHEAP[-1]]
        self._known: dict[int, _Known] = {}
        self._pool: list[Candidate] = []

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Learn from the score of trial `number`; nothing if it failed."""
        candidate = self._running[number]
        super().observe(number, values)
        self._known.pop(number)
        self._pool = []
        if values is not None and math.isfinite(score := values[self._quality]):
            self._prior.observe(candidate, score)
            self._known[number] = _Known(candidate, score)

    def _choose(self, number: int, seed: int) -> Candidate:
        feasible, pool = self._scenario.feasible, self._pool_of(seed)
        if pool:
            means, deviations = self._prior.predict(pool)
            beaten = self._to_beat(pool, means, everywhere=number % 2 == 0)
            gains = expected_gain(means, deviations, beaten)
            for index in np.argsort(-gains, kind="stable"):
                if candidate := feasible.admitted(pool[index]):
                    self._known[number] = _Known(candidate, float(means[index]))
                    return candidate
        candidate = feasible.draw(random.Random(seed), self._taken)
        expected = float(self._prior.predict([candidate])[0][0])
        self._known[number] = _Known(candidate, expected)
        return candidate

    def _pool_of(self, seed: int) -> list[Candidate]:
        """Return what was not proposed yet of a generation's pool, which its first seed decides."""
        if not self._pool:
            rng = random.Random(seed)
            drawn = self._quick(self._scenario.feasible.space.sample(rng) for _ in range(DRAWS))
            self._pool = self._short(self._unknown([*self._starts, *drawn]))
            self._pool += self._short(self._mutants(self._pool, rng))
        self._pool = self._unknown(self._pool)
        return self._pool

    def _short(self, pool: Sequence[Candidate]) -> list[Candidate]:
        """Return those whose training is not too long; the shortest if all are."""
        if not pool:
            return []
        seconds = self._prior.seconds(pool)
        limit = max(self._scenario.longest_s, seconds.min())
        return [one for one, taken in zip(pool, seconds, strict=True) if taken <= limit]

    def _mutants(self, pool: Sequence[Candidate], rng: random.Random) -> list[Candidate]:
        """Return mutations of the best known, and of those that most is expected of."""
        means, _ = self._prior.predict(pool) if pool else ((), ())
        scored = [*zip(means, pool, strict=True)]
        scored += [(one.score, one.candidate) for one in self._known.values()]
        scored.sort(key=lambda pair: -pair[0])
        parents = [candidate.choices for _, candidate in scored[:PARENTS]]
        count = MUTANTS if parents else 0
        return self._quick(self._mutant(rng.choice(parents), rng) for _ in range(count))

    def _mutant(self, parent: Choices, rng: random.Random) -> Choices:
        for _ in range(rng.randint(1, MOST_MUTATIONS)):
            parent = mutated(self._scenario.feasible.space, parent, rng)
        return parent

    def _quick(self, points: Iterable[Choices]) -> list[Candidate]:
        quick = (self._scenario.feasible.quick(point) for point in points)
        return [candidate for candidate in quick if candidate is not None]

    def _unknown(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Return those not proposed before, each once."""
        known = {candidate.architecture.id: candidate for candidate in candidates}
        return [candidate for key, candidate in known.items() if key not in self._taken]

    def _costs(self, candidate: Candidate) -> list[float]:
        return [getattr(candidate.cost, name) for name in self._axes]

    def _to_beat(self, pool: Sequence[Candidate], means: Floats, *, everywhere: bool) -> Floats:
        """Return the score that each has to beat: the best of all, or of those no dearer."""
        if not self._known:
            return np.full(len(pool), means.max())
        scores = np.array([one.score for one in self._known.values()])
        if everywhere:
            return np.full(len(pool), scores.max())
        costs = np.array([self._costs(one.candidate) for one in self._known.values()])
        asked = np.array([self._costs(one) for one in pool])
        cheaper = (costs[None] <= asked[:, None]).all(axis=2)
        return np.where(cheaper, scores[None], scores.min()).max(axis=1)


def expected_gain(means: Floats, deviations: Floats, beaten: Floats) -> Floats:
    """Return by how much normally distributed scores are expected to be beyond others."""
    distances = (means - beaten) / deviations
    return deviations * (distances * norm.cdf(distances) + norm.pdf(distances))
