import math

import pytest

from results.formats import (
    format_duration,
    format_gain,
    format_share,
    format_value,
    format_with_unit,
)
from results.objectives import Objective


def axis(name, unit=""):
    return Objective(name=name, direction="minimise", unit=unit)


@pytest.mark.parametrize(
    ("name", "unit", "value", "text"),
    [
        ("psnr_y", "dB", 33.514, "33.51"),
        ("ssim_y", "", 0.92991, "0.9299"),
        ("params", "parameters", 398_112, "398.1k"),
        ("params", "parameters", 12, "12"),
        ("macs", "MACs", 89_400_000_000, "89.4G"),
        ("training_bytes", "", 2**29, "512MiB"),
        ("latency_ms", "ms", 12.3456, "12.35"),
        ("volume", "%", 71.5, "71.5"),
        ("psnr_y", "dB", None, "–"),
        ("psnr_y", "dB", math.nan, "–"),
        ("psnr_y", "dB", math.inf, "∞"),
    ],
)
def test_values(name, unit, value, text):
    assert format_value(axis(name, unit), value) == text


def test_units_follow_known_values_only():
    assert format_with_unit(axis("psnr_y", "dB"), 33.5) == "33.50 dB"
    assert format_with_unit(axis("psnr_y", "dB"), None) == "–"
    assert format_with_unit(axis("ssim_y"), 0.5) == "0.5000"


def test_gains_have_a_sign_and_shares_a_base():
    assert [format_gain(g) for g in (1.345, -0.2, math.nan)] == ["+1.34", "−0.20", "–"]
    assert format_share(1, 8) == "12.5 %"
    assert format_share(1, 0) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8.44, "8.4 s"),
        (252, "4 min 12 s"),
        (59.99, "1 min 00 s"),
        (11_100, "3 h 05 min"),
        (None, "–"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text
