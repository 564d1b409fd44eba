"""A search as Optuna's tutorial writes it: to hold the overhead of ours against.

The same sampler on the same space, with a journal file; no budget, no pricing, no check for
repeats, no architecture in the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.strategies.optuna_sampler import quiet
from spaces import Choices, Dimension, Space, Value


class BareSearch:
    """An Optuna study on a journal file, asked and told trial by trial."""

    def __init__(self, space: Space, strategy: str, generation: int, seed: int, file: Path) -> None:
        """Create the study in `file`."""
        self._space = space
        with quiet():
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(file))),
                sampler=_sampler(strategy, generation, seed),
                directions=["maximize", "minimize"],
            )

    def step(self) -> None:
        """One more trial that does nothing."""
        trial = self._study.ask()
        choices = self._ask(self._space.network, {}, "", trial)
        for number in range(1, int(choices["stages"]) + 1):
            known = {name: value for name, value in choices.items() if "." not in name}
            choices |= self._ask(self._space.stage, known, f"stage{number}.", trial)
        score = int(hashlib.sha256(repr(choices).encode()).hexdigest()[:12], 16) / 16**12
        self._study.tell(trial, [score, float(len(choices))])

    def _ask(
        self,
        dimensions: Sequence[Dimension],
        known: Choices,
        prefix: str,
        trial: optuna.trial.Trial,
    ) -> Choices:
        seen: dict[str, Value] = dict(known)
        asked: Choices = {}
        for dimension in dimensions:
            if dimension.is_active(seen):
                value = trial.suggest_categorical(prefix + dimension.name, dimension.values)
                assert value is not None, "no dimension has None among its values"
                asked[prefix + dimension.name] = seen[dimension.name] = value
        return asked


SAMPLERS = ("random", "tpe", "nsga2", "nsga3")


def _sampler(strategy: str, generation: int, seed: int) -> BaseSampler:
    """Optuna's sampler with the settings that ours of that name has."""
    with quiet():
        samplers: dict[str, BaseSampler] = {
            "random": RandomSampler(seed=seed),
            "tpe": TPESampler(
                seed=seed, multivariate=True, group=True, n_startup_trials=generation
            ),
            "nsga2": NSGAIISampler(population_size=generation, seed=seed),
            "nsga3": NSGAIIISampler(population_size=generation, seed=seed),
        }
    return samplers[strategy]
