"""What we leave out of Optuna's samplers changes none of their proposals."""

from contextlib import suppress

import optuna
import pytest
from optuna.samplers._ga import BaseGASampler

from search.strategies import STRATEGIES
from search.strategies.optuna_sampler import _Lean, quiet
from tests.search.strategies.test_strategy import ids, play


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
@pytest.mark.parametrize("failing", [(), (1, 3, 8, 9, 10, 17)], ids=["fine", "failing"])
def test_generations_are_optunas(setting, monkeypatch, name, failing):
    set_up = setting(generation=4)
    lean = ids(play(STRATEGIES[name](set_up), set_up, 32, failing=failing))
    monkeypatch.setattr(_Lean, "get_trial_generation", BaseGASampler.get_trial_generation)
    assert ids(play(STRATEGIES[name](set_up), set_up, 32, failing=failing)) == lean


@pytest.mark.parametrize("level", [optuna.logging.INFO, optuna.logging.ERROR])
@pytest.mark.parametrize("failing", [False, True])
def test_optunas_verbosity_is_put_back(setting, level, failing):
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(level)
    try:
        STRATEGIES["tpe"](setting()).propose(0)
        with suppress(ZeroDivisionError), quiet():
            assert optuna.logging.get_verbosity() == optuna.logging.WARNING
            if failing:
                raise ZeroDivisionError
        assert optuna.logging.get_verbosity() == level
    finally:
        optuna.logging.set_verbosity(before)
