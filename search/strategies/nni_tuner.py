"""NNI's own in-process tuners behind our ask and tell: independent baselines, extra `[nni]`.

They know one objective, no conditions and no budget. So they get the position of a trial by
fitness, every question is answered in every row, and their wishes are brought to the nearest
candidate that is allowed and new, like those of Optuna's samplers.
"""

import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from lightir_core.errors import SearchError
from lightir_core.seeds import derive
from search.feasible.candidate import Candidate
from search.strategies.strategy import (
    INACTIVE,
    Row,
    Scenario,
    SeedingStrategy,
    answers,
    positions,
    to_row,
    to_wish,
)

GENERATIONS = 2
"""Generations of trials that the population of NNI's evolution holds; NNI's default is for more."""

REMEMBERED = 500
"""Latest trials that NNI's TPE gets, so that importing them stays cheap."""


class _NniStrategy(SeedingStrategy):
    """Shares what both tuners need: rows for wishes and for trials."""

    def __init__(self, scenario: Scenario, name: str) -> None:
        super().__init__(scenario)
        self._known = answers(scenario.feasible.space)
        self._tuners = _tuners(name)

    @property
    def _questions(self) -> dict[str, Any]:
        """Write the space as NNI does."""
        return {n: {"_type": "choice", "_value": list(v)} for n, v in self._known.items()}

    def _nearest(self, wish: Row, seed: int) -> Candidate:
        return self._scenario.feasible.near(to_wish(wish), random.Random(seed), self._taken)


class NniTpeStrategy(_NniStrategy):
    """NNI's tree-structured Parzen estimator; a fresh tuner imports the trials for each wish."""

    def __init__(self, scenario: Scenario) -> None:
        """Start without trials.

        Raises:
            SearchError: NNI is not installed.
        """
        super().__init__(scenario, "nni-tpe")

    def _choose(self, number: int, seed: int) -> Candidate:
        """Return the tuner's wish for trial `number`, or the nearest new candidate."""
        tuner_seed = derive(self._scenario.seed, "nni", number)
        with _quiet(tuner_seed):
            arguments = {"n_startup_jobs": self._scenario.generation}
            tuner = self._tuners.tpe_tuner.TpeTuner("minimize", tuner_seed, arguments)
            tuner.update_search_space(self._questions)
            self._import(tuner)
            wish = tuner.generate_parameters(number)
        return self._nearest(wish, seed)

    def _import(self, tuner: Any) -> None:  # noqa: ANN401  NNI has no types
        latest = self._seen[-REMEMBERED:]
        order = positions([point for _, point in latest])
        rows = [to_row(self._known, choices) for choices, _ in latest]
        pairs = zip(rows, order, strict=True)
        tuner.import_data([{"parameter": row, "value": value} for row, value in pairs])
        # the tuner takes trials under way for as good as the best, so as not to repeat them
        for number, candidate in self._running.items():
            row = to_row(self._known, candidate.choices)
            formatted = self._tuners.tpe_tuner.format_parameters(row, tuner.space)
            tuner._running_params[number] = formatted


class NniEvolutionStrategy(_NniStrategy):
    """NNI's evolution (after Real et al., ICML 2017): the worse of a random pair is replaced."""

    def __init__(self, scenario: Scenario) -> None:
        """Start without trials.

        Raises:
            SearchError: NNI is not installed.
        """
        super().__init__(scenario, "nni-evolution")
        size = GENERATIONS * scenario.generation
        self._tuner = self._tuners.evolution_tuner.EvolutionTuner("minimize", size)
        self._individuals: list[Any] = []  # of the trials that were seen
        with self._drawing("start"):
            self._tuner.update_search_space(self._questions)
            self._tuner.population = []  # drawn with a seed of its own: again, with ours
            self._seed_tuner("start")
            for _ in range(size):
                self._tuner._random_generate_individual()

    def _choose(self, number: int, seed: int) -> Candidate:
        """Return the tuner's wish for trial `number`, or the nearest new candidate."""
        self._judge()
        with self._drawing(number):
            self._seed_tuner(number)
            wish = self._tuner.generate_parameters(number)
        candidate = self._nearest(wish, seed)
        # the tuner learns what became of its wish
        individual = self._tuner.running_trials[number]
        for name, value in to_row(self._known, candidate.choices).items():
            if value != INACTIVE:
                index = self._known[name].index(value)
                individual.config[name] = {"_index": index, "_value": value}
        return candidate

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Take in the values of trial `number`; None if it failed."""
        if self._scenario.start(number):  # the tuner was not asked for it
            self._running.pop(number)
            return
        super().observe(number, values)
        with self._drawing(number):
            self._seed_tuner(number)
            if values is None:
                self._tuner.trial_end(number, success=False)
            else:
                self._tuner.receive_trial_result(number, None, 0.0)
                self._individuals.append(self._tuner.population[-1])

    def _judge(self) -> None:
        """Set the results of the tuner's population again: ranks change with every trial."""
        alive = {id(individual) for individual in self._tuner.population}
        pairs = zip(self._individuals, self._seen, strict=True)
        kept = [(one, point) for one, (_, point) in pairs if id(one) in alive]
        for (one, _), position in zip(kept, positions([p for _, p in kept]), strict=True):
            one.result = -float(position)

    def _seed_tuner(self, purpose: int | str) -> None:
        seed = derive(self._scenario.seed, "nni", purpose)
        self._tuner.random_state = np.random.RandomState(seed)

    def _drawing(self, purpose: int | str) -> Any:  # noqa: ANN401  a context manager
        return _quiet(derive(self._scenario.seed, "nni global", purpose))


def _tuners(name: str) -> Any:  # noqa: ANN401  NNI has no types
    """Import NNI's modules.

    Raises:
        SearchError: NNI is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nni.algorithms.hpo.evolution_tuner
            import nni.algorithms.hpo.tpe_tuner
    except ImportError:
        raise SearchError(
            f"strategy {name!r} needs NNI, which is not installed; install it with "
            "`pip install 'lightir[nni]'`, or choose another strategy"
        ) from None
    return nni.algorithms.hpo


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """Seed the global generator that NNI draws from, put it back, and keep NNI's log silent."""
    before = random.getstate()
    random.seed(seed)
    logger = logging.getLogger("nni")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        random.setstate(before)
