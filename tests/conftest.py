"""What the tests of several packages share: a cost cache of their own and small photographs."""

import os

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from budgets.price import cost_cache
from lightir_core.data import photographs

# the same examples every time, and no time limit on a machine that does other work as well
settings.register_profile("lightir", derandomize=True, deadline=None)
settings.load_profile("lightir")


# what takes longest begins first, while there is other work to do beside it
LONGEST = (
    "test_interruption.py",
    "test_documents.py",
    "end_to_end/test_ray.py",
    "test_ray_tune.py",
    "end_to_end/test_slurm.py",
    "search/compress",
    "benchmarks",
    "end_to_end",  # most wait for a run that the first file makes
    "search",
)


def pytest_collection_modifyitems(items):
    """Sort files by how long they take: pytest-xdist gives them out in this order, each whole."""

    def rank(item):
        path = item.path.as_posix()
        return next((n for n, part in enumerate(LONGEST) if part in path), len(LONGEST))

    items.sort(key=rank)


# the networks of the tests are tiny: threads would wait for each other most of the time
torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def session_cache(tmp_path_factory):
    """Tests, and the commands that they start, neither read nor write the user's cache.

    All workers of pytest-xdist share one: what one of them has priced, the others need not.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        cost_cache.cache_clear()
        yield
    cost_cache.cache_clear()


@pytest.fixture(scope="session")
def photograph():
    """(H, W, 3) uint8: a crop of an embedded photograph; number -> another crop."""
    pixels = photographs.training().images[0].pixels

    def crop(number=0, side=96):
        top, left = 40 * number % 300, 170 + 30 * number % 200
        return np.ascontiguousarray(pixels[top : top + side, left : left + side])

    return crop


@pytest.fixture
def folder_of_photographs(tmp_path, photograph):
    """A folder with three small photographs: one of them will be held out for validation."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(photograph(number)).save(folder / f"crop{number}.png")
    return folder
