from pathlib import Path

import numpy as np
import pytest

from lightir_core.data import photographs
from lightir_core.data.images import Gallery, write_image

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of research images beside the repository; they cannot be shipped with it."""
    if not SHARED.is_dir():
        pytest.skip("needs the research images of ../shared/data, which are not redistributable")
    return SHARED


@pytest.fixture(scope="session")
def held_out() -> Gallery:
    return photographs.validation()


@pytest.fixture
def draw_image():
    """Write a seeded picture of the asked size (width, height), different for every name."""

    def draw(path: Path, size: tuple[int, int] = (24, 20)) -> np.ndarray:
        rng = np.random.default_rng(list(str(path.name).encode()))
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        write_image(path, pixels)
        return pixels

    return draw
