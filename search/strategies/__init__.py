"""List the strategies that propose architectures, by the name that the user writes."""

from collections.abc import Callable

from search.strategies.gaussian import GaussianStrategy
from search.strategies.guided import GuidedStrategy
from search.strategies.nni_tuner import NniEvolutionStrategy, NniTpeStrategy
from search.strategies.optuna_sampler import OptunaStrategy, Tpe, nsga2, nsga3
from search.strategies.strategy import EvolutionStrategy, Scenario, Strategy, UniformStrategy

__all__ = ["GUIDED", "STRATEGIES", "OptunaStrategy", "Scenario", "Strategy"]

GUIDED = "guided"
"""The strategy that a prior leads."""

STRATEGIES: dict[str, Callable[[Scenario], Strategy]] = {
    # without a prior from the starts on as evolution goes on from them
    GUIDED: lambda scenario: (
        GuidedStrategy(scenario, scenario.prior) if scenario.prior else EvolutionStrategy(scenario)
    ),
    "random": UniformStrategy,
    "tpe": lambda scenario: OptunaStrategy(scenario, Tpe()),
    "nsga2": lambda scenario: OptunaStrategy(scenario, nsga2),
    "nsga3": lambda scenario: OptunaStrategy(scenario, nsga3),
    "gp": GaussianStrategy,
    "evolution": EvolutionStrategy,
    "nni-tpe": NniTpeStrategy,
    "nni-evolution": NniEvolutionStrategy,
}
