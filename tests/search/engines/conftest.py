"""One small Ray for all tests that need a real one: it takes seconds to start."""

import pytest


@pytest.fixture(scope="session")
def ray_here():
    """This process as the driver of a cluster of its own, which declares 8 processors."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from search.engines.ray_nodes import connected

    with connected(None, cpus=8):
        yield
