"""What the tests of several packages share: a cost cache of their own and small photographs."""

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Give a file to one worker of pytest-xdist, so that what it shares is made once.

    What is marked with a group of its own, as all that starts Ray, is given to one worker whole.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.as_posix()))
    # the longest group first, while there is other work to do beside it
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args != ("ray",))


# the networks of the tests are tiny: threads would wait for each other most of the time
torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def session_cache(tmp_path_factory):
    """Tests, and the commands that they start, neither read nor write the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
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
