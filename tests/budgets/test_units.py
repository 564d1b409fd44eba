import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.budget import (
    Size,
    format_bytes,
    format_count,
    format_time,
    parse_bytes,
    parse_count,
    parse_size,
    parse_time,
)
from lightir_core.errors import BudgetError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("400k", 400_000),
        ("400K", 400_000),
        ("0.4M", 400_000),
        ("400_000", 400_000),
        ("30G", 30 * 10**9),
        ("4e5", 400_000),
        ("1.1T", 1_100_000_000_000),
        (" 7 ", 7),
        ("0.1k", 100),
    ],
)
def test_counts_are_read_exactly(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("400q", "unknown unit 'q'"),
        ("-1", "not a positive number"),
        ("+1", "not a positive number"),
        ("0", "is zero"),
        ("0.0k", "is zero"),
        ("nan", "not a positive number"),
        ("inf", "not a positive number"),
        ("1e400", "not a positive number"),
        ("1e19", "larger than"),
        ("9" * 400, "larger than"),
        ("", "not a positive number"),
        ("k", "not a positive number"),
        ("1.5", "not a whole number"),
        ("4__0", "not a positive number"),
        ("_4", "not a positive number"),
        ("4 0", "not a positive number"),
        ("2GiB", "unknown unit 'GiB'"),
        ("40ms", "unknown unit 'ms'"),
        ("٤٠", "not a positive number"),
    ],
)
def test_bad_counts_are_refused_with_an_example(text, reason):
    with pytest.raises(BudgetError, match=reason) as caught:
        parse_count(text)
    assert "400k" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GiB", 2**31), ("512MiB", 2**29), ("1.5GB", 1_500_000_000), ("64kb", 64_000), ("1B", 1)],
)
def test_memory_sizes_tell_binary_from_decimal_units(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    ("text", "reason"),
    [("2G", "unknown unit 'G'"), ("2", "has no unit"), ("2ms", "unknown unit"), ("-2GiB", "not a")],
)
def test_bad_memory_sizes(text, reason):
    with pytest.raises(BudgetError, match=reason):
        parse_bytes(text)


@pytest.mark.parametrize(("text", "time_ms"), [("40ms", 40.0), ("0.5s", 500.0), ("900us", 0.9)])
def test_times_are_milliseconds(text, time_ms):
    assert parse_time(text) == time_ms


@pytest.mark.parametrize(("text", "reason"), [("40", "has no unit"), ("40k", "unknown unit 'k'")])
def test_bad_times(text, reason):
    with pytest.raises(BudgetError, match=reason):
        parse_time(text)


def test_a_size_is_written_width_first():
    assert parse_size("1280x720") == Size(height=720, width=1280)
    assert parse_size(" 1280 X 720 ") == parse_size("1280×720")
    assert str(Size(height=720, width=1280)) == "1280x720"


@pytest.mark.parametrize(
    "text", ["", "1280", "1280x", "x720", "1280x720x3", "-1x5", "1.5x2", "axb", "1280,720"]
)
def test_bad_sizes_are_refused_with_an_example(text):
    with pytest.raises(BudgetError, match="write it as 1280x720"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0x720", "1280x0", "65537x1", "999999999x1", "00x00"])
def test_impossible_sides_are_refused(text):
    with pytest.raises(BudgetError, match="sides go from 1 to 65536"):
        parse_size(text)


def test_numbers_are_printed_in_four_digits():
    assert format_count(780_936) == "780.9k"
    assert format_count(400_000) == "400k"
    assert format_count(363_149_905_920) == "363.1G"
    assert format_count(999_960) == "1M"
    assert format_count(999) == "999"
    assert format_count(0) == "0"
    assert format_bytes(2**31) == "2GiB"
    assert format_bytes(1000) == "1000B"
    assert format_time(40.0) == "40ms"
    assert format_time(1234.5) == "1.234s"


@given(st.integers(1, 10**18))
def test_a_printed_count_reads_back_within_half_a_per_mille(count):
    assert parse_count(format_count(count)) == pytest.approx(count, rel=5.1e-4)


@given(st.integers(1, 65_536), st.integers(1, 65_536))
def test_a_printed_size_reads_back(height, width):
    assert parse_size(str(Size(height, width))) == Size(height, width)
