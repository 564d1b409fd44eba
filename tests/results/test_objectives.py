import math

import pytest

from lightir_core.errors import ResultsError
from results.objectives import (
    Objective,
    format_duration,
    format_gain,
    format_share,
    format_value,
    format_with_unit,
    minimised,
    objectives_from_plain,
    values_of,
)

PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise")


def test_plain_objectives_read_back_equal():
    assert objectives_from_plain([PSNR.to_plain(), MACS.to_plain()]) == (PSNR, MACS)


def test_labels_and_titles():
    assert PSNR.title == "PSNR-Y (dB)"
    assert MACS.title == MACS.label == "macs"


def test_values_come_from_scores_before_costs_and_are_nan_when_missing():
    assert values_of((PSNR, MACS), {"psnr_y": 30.0}, {"macs": 7, "psnr_y": 1.0}) == (30.0, 7.0)
    assert math.isnan(values_of((PSNR,), {}, {})[0])


def test_only_what_is_maximised_changes_its_sign():
    assert minimised((PSNR, MACS), (30.0, 7.0)) == (-30.0, 7.0)


def test_unknown_direction_and_empty_name_are_refused():
    with pytest.raises(ResultsError, match="direction 'up' is not known; write 'maximise'"):
        objectives_from_plain([{"name": "psnr_y", "direction": "up"}])
    with pytest.raises(ResultsError, match="empty name"):
        objectives_from_plain([{"direction": "minimise"}])


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
