import pytest

from budgets.price import cost_cache


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """The tests of this folder neither read nor write the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        cost_cache.cache_clear()
        yield
    cost_cache.cache_clear()
