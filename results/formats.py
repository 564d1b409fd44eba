"""Numbers as people read them in reports and tables."""

from __future__ import annotations

import math

from budgets.units import format_bytes, format_count
from results.objectives import Objective

MISSING = "–"


def format_value(axis: Objective, value: float | None) -> str:
    """A value of the axis without its unit: 33.51 dB is ``33.51``, 89,400,000,000 is ``89.4G``."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if axis.name.endswith("_bytes"):
        return format_bytes(value)
    if axis.unit == "dB":
        return f"{value:.2f}"
    if axis.name.startswith("ssim"):
        return f"{value:.4f}"
    if _is_count(axis, value):
        return format_count(value)
    return f"{value:.4g}"


def format_with_unit(axis: Objective, value: float | None) -> str:
    """A value with its unit, as in a sentence."""
    text = format_value(axis, value)
    # "89.4G MACs" yes, "398k parameters" yes; bytes carry their unit in the text.
    return f"{text} {axis.unit}" if axis.unit and text != MISSING else text


def format_gain(gain: float) -> str:
    """A difference in dB with its sign: ``+1.35``, ``−0.20``."""
    return MISSING if math.isnan(gain) else f"{gain:+.2f}".replace("-", "−")


def format_share(part: float, whole: float) -> str:
    """`part` in percent of `whole`, to one place."""
    return MISSING if not whole else f"{100 * part / whole:.1f} %"


def format_duration(seconds: float | None) -> str:
    """A time span as people say it: ``8.4 s``, ``4 min 12 s``, ``3 h 05 min``."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _is_count(axis: Objective, value: float) -> bool:
    return axis.name in ("params", "macs") or (value == int(value) and abs(value) >= 1000)
