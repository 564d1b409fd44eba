import pytest

from benchmarks.cli_rank import rank
from lightir_core.errors import SearchError


@pytest.mark.parametrize("steps", ["200,2000", "3000"])
def test_short_lengths_are_shorter_than_the_long_one(steps, tmp_path):
    with pytest.raises(SearchError, match=f"--steps {steps}: use lengths below --long"):
        rank(steps=steps, long=2000, keep=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
