import importlib.util

import pytest

from lightir_core.errors import SearchError
from search.cli.run import tracked
from search.jobs import Silent


def test_without_trackers_the_callback_is_itself(tmp_path):
    callback = Silent()
    with tracked(callback, tmp_path, tensorboard=False, mlflow=False) as found:
        assert found is callback


@pytest.mark.parametrize("extra", ["tensorboard", "mlflow"])
def test_what_is_not_installed_is_told(tmp_path, monkeypatch, extra):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    asked = {"tensorboard": False, "mlflow": False, extra: True}
    with (
        pytest.raises(SearchError, match=rf"pip install 'lightir\[{extra}\]'"),
        tracked(Silent(), tmp_path, **asked),
    ):
        pass
