import pytest

from benchmarks.options import decimals, wholes
from lightir_core.errors import SearchError


def test_numbers_joined_by_commas_are_read():
    assert wholes("--steps", "200, 400") == (200, 400)
    assert decimals("--seconds", "0.5, 60") == (0.5, 60.0)


@pytest.mark.parametrize("text", ["abc", "", "0", "-1", "1.5", "8,,9"])
def test_what_is_no_whole_number_is_named(text):
    with pytest.raises(SearchError, match=r"--steps: '.*' is no whole number above 0"):
        wholes("--steps", text)


@pytest.mark.parametrize("text", ["abc", "", "0", "-1", "nan", "inf", "1,,2"])
def test_what_is_no_number_above_zero_is_named(text):
    with pytest.raises(SearchError, match=f"--seconds '{text}': use numbers above 0"):
        decimals("--seconds", text)
