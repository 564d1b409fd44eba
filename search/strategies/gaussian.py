"""Bayesian optimisation with Gaussian processes: Optuna's GPSampler, led to what is allowed.

Its models (one per objective, Matérn 5/2, expected improvement of the hypervolume) are Optuna's.
What it may choose from is ours: a pool of new candidates within budget, random ones and
mutations of the front, so that no wish has to be bent. A choice that is not asked at a point is a
value of its own there; numbers are ordered. Seconds a trial: for trainings that take minutes.
"""

import random
import warnings
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from lightir_core.errors import SearchError
from results.pareto import pareto_front
from search.feasible.candidate import Candidate
from search.strategies.optuna_sampler import PoolSampler, quiet
from search.strategies.strategy import INACTIVE, Scenario, SeedingStrategy, answers, to_row
from spaces.decode import Value
from spaces.space import Choices

POOL = 64
"""Candidates to choose from: half of them random, half mutations of the front."""

MODELLED = 200
"""Trials that the models see, the front and the latest: fitting is cubic in their number."""


class GaussianStrategy(SeedingStrategy):
    """Proposes the candidate of a pool from which the models expect most."""

    def __init__(self, scenario: Scenario) -> None:
        """Start without trials."""
        super().__init__(scenario)
        self._known = answers(scenario.feasible.space)
        self._axes = {name: _axis(values) for name, values in self._known.items()}

    def _choose(self, number: int, seed: int) -> Candidate:
        rng = random.Random(seed)
        if len(self._seen) < self._scenario.generation:
            return self._scenario.feasible.near({}, rng, self._taken)
        return self._best(self._pool(rng), seed)

    def _pool(self, rng: random.Random) -> list[Candidate]:
        feasible, taken = self._scenario.feasible, set(self._taken)
        front = [self._seen[i][0] for i in pareto_front([point for _, point in self._seen])]
        pool: list[Candidate] = []
        for index in range(POOL):
            wish = {} if index % 2 else feasible.space.mutate(rng.choice(front), rng)
            try:
                pool.append(feasible.near(wish, rng, taken))
            except SearchError:
                if not pool:
                    raise
                break  # the pool is all that is left
            taken.add(pool[-1].architecture.id)
        return pool

    def _best(self, pool: Sequence[Candidate], seed: int) -> Candidate:
        rows = [self._row(candidate.choices) for candidate in pool]
        sampler = PoolSampler(rows, seed)
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about fits that did not converge: they serve
            study = optuna.study.create_study(
                storage=optuna.storages.InMemoryStorage(),
                directions=[StudyDirection.MINIMIZE] * len(self._scenario.objectives),
                sampler=sampler,
            )
            study.add_trials(self._modelled())
            study.ask(self._axes)
        return pool[sampler.chosen]

    def _modelled(self) -> list[optuna.trial.FrozenTrial]:
        """List the trials that the models see; those under way count as far as they are known."""
        front = set(pareto_front([point for _, point in self._seen]))
        latest = range(len(self._seen) - MODELLED, len(self._seen))
        chosen = [e for i, e in enumerate(self._seen) if i in front or i in latest]
        ended = [self._trial(choices, TrialState.COMPLETE, point) for choices, point in chosen]
        return ended + [self._trial(c.choices, TrialState.RUNNING) for c in self._running.values()]

    def _trial(
        self, choices: Choices, state: TrialState, point: Sequence[float] | None = None
    ) -> optuna.trial.FrozenTrial:
        values = None if point is None else list(point)
        params = self._row(choices)
        return create_trial(state=state, params=params, distributions=self._axes, values=values)

    def _row(self, choices: Choices) -> dict[str, Value]:
        row = to_row(self._known, choices)
        for name in [n for n, axis in self._axes.items() if isinstance(axis, IntDistribution)]:
            values, value = self._known[name], row[name]
            # where it is not asked, the middle
            row[name] = values.index(value) if value != INACTIVE else (len(values) - 1) // 2
        return row


def _axis(values: tuple[Value, ...]) -> BaseDistribution:
    asked = [value for value in values if value != INACTIVE]
    if len(asked) > 1 and all(type(value) in (int, float) for value in asked):
        return IntDistribution(0, len(asked) - 1)
    return CategoricalDistribution(values)
