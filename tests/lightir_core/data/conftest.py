from pathlib import Path

import pytest

from lightir_core.data import photographs
from lightir_core.data.images import Gallery

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
