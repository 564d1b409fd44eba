"""Bayesian optimisation with Gaussian processes: Optuna's GPSampler, led to what is allowed.

Its models (one per objective, Matérn 5/2, expected improvement of the hypervolume) are Optuna's.
What it may choose from is ours: a pool of new candidates within budget, random ones and
mutations of the front, so that no wish has to be bent. A choice that is not asked at a point is a
value of its own there; numbers are ordered. Seconds a trial: for trainings that take minutes.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import GPSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from lightir_core.errors import SearchError
from lightir_core.seeds import derive
from results.objectives import minimised
from results.pareto import pareto_front
from search.feasible.space import Candidate
from search.strategies.optuna_sampler import quiet
from search.strategies.rows import INACTIVE, answers, to_row
from search.strategies.strategy import Setting
from spaces import Choices, Value

POOL = 64
"""Candidates to choose from: half of them random, half mutations of the front."""

MODELLED = 200
"""Trials that the models see, the front and the latest: fitting is cubic in their number."""


class GaussianStrategy:
    """The candidate of a pool from which the models expect most."""

    def __init__(self, setting: Setting) -> None:
        """Start without trials."""
        self._setting = setting
        self._known = answers(setting.feasible.space)
        self._axes = {name: _axis(values) for name, values in self._known.items()}
        self._seen: list[tuple[Choices, tuple[float, ...]]] = []
        self._running: dict[int, Candidate] = {}
        self._taken: set[str] = set()

    def propose(self, number: int) -> Candidate:
        """See `Strategy.propose`."""
        seed = derive(self._setting.seed, "propose", number)
        rng = random.Random(seed)
        if len(self._seen) < self._setting.generation:
            candidate = self._setting.feasible.near({}, rng, self._taken)
        else:
            candidate = self._best(self._pool(rng), seed)
        self._taken.add(candidate.architecture.id)
        self._running[number] = candidate
        return candidate

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """See `Strategy.observe`."""
        candidate = self._running.pop(number)
        if values is not None:
            point = minimised(self._setting.objectives, values)
            self._seen.append((candidate.choices, point))

    def _pool(self, rng: random.Random) -> list[Candidate]:
        feasible, taken = self._setting.feasible, set(self._taken)
        front = [self._seen[i][0] for i in pareto_front([point for _, point in self._seen])]
        pool: list[Candidate] = []
        for place in range(POOL):
            wish = {} if place % 2 else feasible.space.mutate(rng.choice(front), rng)
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
                directions=[StudyDirection.MINIMIZE] * len(self._setting.objectives),
                sampler=sampler,
            )
            study.add_trials(self._modelled())
            study.ask(self._axes)
        return pool[sampler.chosen]

    def _modelled(self) -> list[optuna.trial.FrozenTrial]:
        """The trials that the models see; those under way count as far as they are known."""
        front = set(pareto_front([point for _, point in self._seen]))
        latest = range(len(self._seen) - MODELLED, len(self._seen))
        chosen = [e for i, e in enumerate(self._seen) if i in front or i in latest]
        ended = [
            create_trial(
                state=TrialState.COMPLETE,
                params=self._row(choices),
                distributions=self._axes,
                values=list(point),
            )
            for choices, point in chosen
        ]
        running = [
            create_trial(
                state=TrialState.RUNNING, params=self._row(c.choices), distributions=self._axes
            )
            for c in self._running.values()
        ]
        return ended + running

    def _row(self, choices: Choices) -> dict[str, Value]:
        row = to_row(self._known, choices)
        return {
            name: _place(self._known[name], row[name])
            if isinstance(axis, IntDistribution)
            else row[name]
            for name, axis in self._axes.items()
        }


class PoolSampler(GPSampler):
    """Optuna's GPSampler, choosing from given rows where it would search the whole box."""

    def __init__(self, rows: Sequence[dict[str, Value]], seed: int) -> None:
        """Choose from `rows`; with Optuna's models from the first finished trial on."""
        super().__init__(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
        self._rows = list(rows)
        self.chosen = 0

    def _optimize_acqf(
        self,
        acqf: Any,  # noqa: ANN401  has no public type
        best_params: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """The row of the highest acquisition; the base class names this as the place to change."""
        points = acqf.search_space.get_normalized_params(self._rows, self._rows)
        self.chosen = int(np.argmax(acqf.eval_acqf_no_grad(points)))
        return points[self.chosen]


def _axis(values: tuple[Value, ...]) -> BaseDistribution:
    asked = [value for value in values if value != INACTIVE]
    if len(asked) > 1 and all(type(value) in (int, float) for value in asked):
        return IntDistribution(0, len(asked) - 1)
    return CategoricalDistribution(values)


def _place(values: tuple[Value, ...], value: Value) -> int:
    """The place of a number among its axis' answers; the middle where it is not asked."""
    return values.index(value) if value != INACTIVE else (len(values) - 1) // 2
