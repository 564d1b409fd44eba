"""Strategies propose architectures; one table, used by every engine."""

from __future__ import annotations

from collections.abc import Callable

from search.strategies.evolution import EvolutionStrategy
from search.strategies.gaussian import GaussianStrategy
from search.strategies.nni_tuner import NniEvolutionStrategy, NniTpeStrategy
from search.strategies.optuna_sampler import OptunaStrategy, Tpe, nsga2, nsga3
from search.strategies.strategy import Setting, Strategy
from search.strategies.uniform import UniformStrategy

__all__ = ["STRATEGIES", "OptunaStrategy", "Setting", "Strategy"]

STRATEGIES: dict[str, Callable[[Setting], Strategy]] = {
    "random": UniformStrategy,
    "tpe": lambda setting: OptunaStrategy(setting, Tpe()),
    "nsga2": lambda setting: OptunaStrategy(setting, nsga2),
    "nsga3": lambda setting: OptunaStrategy(setting, nsga3),
    "gp": GaussianStrategy,
    "evolution": EvolutionStrategy,
    "nni-tpe": NniTpeStrategy,
    "nni-evolution": NniEvolutionStrategy,
}
