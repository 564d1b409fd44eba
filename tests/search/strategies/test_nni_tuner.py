import logging
import sys

import pytest

from lightir_core.errors import SearchError
from search.strategies import STRATEGIES

NAMES = ("nni-tpe", "nni-evolution")


@pytest.mark.parametrize("name", NAMES)
def test_without_nni_a_message_says_what_to_install(setting, monkeypatch, name):
    for module in [m for m in sys.modules if m == "nni" or m.startswith("nni.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(SearchError, match=rf"strategy '{name}' needs NNI.*lightir\[nni\]"):
        STRATEGIES[name](setting())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_nni_that_proposes(setting, name):
    pytest.importorskip("nni")
    strategy = STRATEGIES[name](setting())
    assert strategy._tuners.__name__ == "nni.algorithms.hpo"


@pytest.mark.parametrize("name", NAMES)
def test_nni_is_silent(setting, name, capfd, caplog):
    pytest.importorskip("nni")
    with caplog.at_level(logging.INFO):
        set_up = setting()
        strategy = STRATEGIES[name](set_up)
        for number in range(8):
            strategy.propose(number)
            strategy.observe(number, (30.0, 1.0) if number % 3 else None)
    assert [r for r in caplog.records if r.name.startswith("nni") and r.levelno < 40] == []
    assert capfd.readouterr() == ("", "")
