"""Optuna's samplers behind our ask and tell, inside the budget and without repeats.

The samplers work on a study in memory; what was tried is recorded elsewhere (`results.study`).
A fresh sampler, seeded by (seed, trial number), makes each proposal, so the random state need not
be stored: after a kill the same calls give the same proposals.

Five classes here derive from classes or methods that Optuna calls private: `_Nsga2`, `_Nsga3` (by
`_Lean`), `_GrowingGroups` and `PoolSampler`. The public ones go through all earlier trials at every
proposal; with these 5,000 trials take a tenth of the time. They were written for Optuna 5.0.0,
which `constraints.txt` pins: at another release run `tests/search/strategies` first, which compares
proposals with those of Optuna's own classes.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import (
    BaseGASampler,
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    TPESampler,
)
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace, _SearchSpaceGroup
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from lightir_core.seeds import derive
from results.objectives import minimised
from results.pareto import dominates
from search.feasible.candidate import Candidate
from search.strategies.strategy import Scenario
from spaces.decode import Value
from spaces.space import Choices

MakeSampler = Callable[[Scenario, int], BaseSampler]

DIRECTIONS = {"maximise": StudyDirection.MAXIMIZE, "minimise": StudyDirection.MINIMIZE}

MUTATION_PROBABILITY = 0.9
"""Share of children that get a mutation on top of the crossover; repeats are mutated anyway."""


class OptunaStrategy:
    """Proposes what one of Optuna's samplers wishes, brought within budget."""

    def __init__(self, scenario: Scenario, make_sampler: MakeSampler) -> None:
        """Start without trials; `make_sampler` gets the scenario and the trial's seed."""
        self._scenario = scenario
        self._make_sampler = make_sampler
        self._taken: set[str] = set()
        self._running: dict[int, Trial] = {}
        with quiet():
            self._study = optuna.create_study(
                directions=[DIRECTIONS[objective.direction] for objective in scenario.objectives]
            )

    def propose(self, number: int) -> Candidate:
        """Return the sampler's wish for trial `number`, or the nearest new candidate."""
        seed = derive(self._scenario.seed, "propose", number)
        sampler = FeasibleSampler(self._scenario, self._make_sampler(self._scenario, seed), seed)
        sampler.taken, sampler.candidate = self._taken, self._scenario.start(number)
        self._study.sampler = sampler
        trial = self._study.ask()
        for name in trial.relative_params:
            trial.suggest_categorical(name, sampler.distributions[name].choices)
        candidate = sampler.candidate
        assert candidate is not None, "asking for the parameters makes the candidate"
        self._taken.add(candidate.architecture.id)
        self._running[number] = trial
        return candidate

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Take the values of trial `number` into the study; None if it failed."""
        trial = self._running.pop(number)
        if values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, list(values))


class FeasibleSampler(BaseSampler):
    """Bends whatever another sampler proposes to the nearest candidate that is allowed and new."""

    def __init__(self, scenario: Scenario, inner: BaseSampler, seed: int) -> None:
        """Wrap `inner`; `seed` decides the bending."""
        self._feasible = scenario.feasible
        self._inner = inner
        self._rng = random.Random(seed)
        self.taken: set[str] = set()
        self.candidate: Candidate | None = None
        self.distributions = {
            name: CategoricalDistribution(values)
            for name, values in scenario.feasible.space.distributions().items()
        }

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Name all dimensions, active or not: `sample_relative` answers for those that are."""
        return dict(self.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the inner sampler's wish, completed and brought within budget."""
        inner_space = self._inner.infer_relative_search_space(study, trial)
        wish = self._inner.sample_relative(study, trial, inner_space)
        self.candidate = self.candidate or self._feasible.near(wish, self._rng, self.taken)
        return dict(self.candidate.choices)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401  the base class says so
        """Refuse: `sample_relative` answers for every active dimension."""
        raise AssertionError(f"{param_name} was not sampled with the others")

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the inner sampler see the end of a trial."""
        self._inner.after_trial(study, trial, state, values)


class _Lean(BaseGASampler):
    """Optuna's genetic samplers without what makes a proposal dearer with every trial."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Name nothing: the children of `_offspring` ignore the choices that all trials share."""
        return {}

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """Return the generation as Optuna counts it; generations never fall, so few trials do."""
        key = self._get_generation_key()
        known = trial.system_attrs.get(key)
        if known is not None:
            return known
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        newest = ended[-1].system_attrs.get(key, 0) if ended else 0
        members = takewhile(lambda t: t.system_attrs.get(key) == newest, reversed(ended))
        assert self.population_size is not None, "both samplers have one"
        is_full = sum(1 for _ in members) >= self.population_size
        generation = newest + is_full
        study._storage.set_trial_system_attr(trial._trial_id, key, generation)
        return generation


class _Nsga2(_Lean, NSGAIISampler):
    """NSGA-II."""


class _Nsga3(_Lean, NSGAIIISampler):
    """NSGA-III."""


class Tpe:
    """Makes tree-structured Parzen estimators, grouped by which choices occur together."""

    def __init__(self) -> None:
        """Know no trial yet."""
        self._groups = _GrowingGroups()

    def __call__(self, scenario: Scenario, seed: int) -> BaseSampler:
        """Make the sampler of one proposal."""
        with quiet():
            sampler = TPESampler(
                seed=seed, multivariate=True, group=True, n_startup_trials=scenario.generation
            )
        sampler._group_decomposed_search_space = self._groups
        return sampler


class _GrowingGroups(_GroupDecomposedSearchSpace):
    """Optuna's groups of choices, to which each finished trial is added only once.

    Trials are observed in the order of their numbers, so the new ones are the last.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known = 0

    def calculate(self, study: Study, use_cache: bool = False) -> _SearchSpaceGroup:
        """Return the groups of all finished trials; to be read only."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for trial in finished[self._known :]:
            self._search_space.add_distributions(trial.distributions)
        self._known = len(finished)
        return self._search_space


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
        """Return the row of the highest acquisition; the base class says to change it here."""
        points = acqf.search_space.get_normalized_params(self._rows, self._rows)
        self.chosen = int(np.argmax(acqf.eval_acqf_no_grad(points)))
        return points[self.chosen]


def nsga2(scenario: Scenario, seed: int) -> BaseSampler:
    """Make NSGA-II (Deb et al., 2002) with crossover and mutation that know the space."""
    return _genetic(_Nsga2, scenario, seed)


def nsga3(scenario: Scenario, seed: int) -> BaseSampler:
    """Make NSGA-III (Deb and Jain, 2014), for three objectives and more."""
    return _genetic(_Nsga3, scenario, seed)


def _genetic(kind: type[_Nsga2] | type[_Nsga3], scenario: Scenario, seed: int) -> BaseSampler:
    size, children = scenario.generation, _offspring(scenario, seed)
    with quiet():
        return kind(population_size=size, seed=seed, child_generation_strategy=children)


Offspring = Callable[[Study, dict[str, BaseDistribution], list[FrozenTrial]], dict[str, Any]]


def _offspring(scenario: Scenario, seed: int) -> Offspring:
    """Make children of two tournament winners, mutated now and then."""
    rng = random.Random(seed)
    space = scenario.feasible.space

    def winner(parents: list[FrozenTrial]) -> Choices:
        first, second = rng.choice(parents), rng.choice(parents)
        points = [minimised(scenario.objectives, trial.values) for trial in (first, second)]
        return (second if dominates(points[1], points[0]) else first).params

    def child(
        study: Study, search_space: dict[str, BaseDistribution], parents: list[FrozenTrial]
    ) -> dict[str, Any]:
        crossed = space.cross(winner(parents), winner(parents), rng)
        if rng.random() < MUTATION_PROBABILITY:
            return space.mutate(crossed, rng)
        return crossed

    return child


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Optuna's notices of new studies and of experimental options, used on purpose."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
