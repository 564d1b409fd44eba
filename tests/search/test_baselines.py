import pytest

from lightir_core.errors import SearchError
from search.baselines import check_rivals
from search.config import SearchConfig


def test_published_systems_are_trained_only_where_trials_are():
    check_rivals(SearchConfig(presets=True))
    check_rivals(SearchConfig(evaluator="bank"))
    with pytest.raises(SearchError, match=r"--evaluator bank does not train them"):
        check_rivals(SearchConfig(presets=True, evaluator="bank"))
