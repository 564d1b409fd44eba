"""What a search optimises: named objectives with direction, unit and label, written as text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from budgets.budget import AXES, format_bytes, format_count
from lightir_core.errors import ResultsError

Direction = Literal["maximise", "minimise"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One axis of the search.

    Attributes:
        name: key of the value in a trial's scores or costs, such as `psnr_y` or `macs`.
        direction: "maximise" or "minimise".
        unit: shown after numbers, such as "dB"; may be empty.
        label: the name that people read, such as "PSNR-Y"; `name` when left empty.
    """

    name: str
    direction: Direction
    unit: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        """Refuse directions that nobody knows and fill in the label."""
        if self.direction not in get_args(Direction):
            raise ResultsError(
                f"objective {self.name!r}: direction {self.direction!r} is not known; "
                f"write 'maximise' or 'minimise'"
            )
        if not self.name:
            raise ResultsError("an objective has an empty name; call it psnr_y, macs or the like")
        object.__setattr__(self, "label", self.label or self.name)

    @property
    def title(self) -> str:
        """Return label and unit, as written beside an axis, or the label if they are the same."""
        if not self.unit or self.unit.casefold() == self.label.casefold():
            return self.label
        return f"{self.label} ({self.unit})"

    def to_plain(self) -> dict[str, str]:
        """Return the objective as a dict of texts; `objectives_from_plain` reads a list of them."""
        return {
            "name": self.name,
            "direction": self.direction,
            "unit": self.unit,
            "label": self.label,
        }


COSTS = {
    key: Objective(name=axis.field, direction="minimise", unit=axis.unit, label=axis.label)
    for key, axis in AXES.items()
}
"""What a network costs, by the axes of budgets."""


def objectives_from_plain(data: Iterable[Mapping[str, Any]]) -> tuple[Objective, ...]:
    """Read what `Objective.to_plain` wrote.

    Raises:
        ResultsError: an entry without a name or with an unknown direction.
    """
    return tuple(
        Objective(
            name=str(item.get("name", "")),
            direction=item.get("direction", "maximise"),
            unit=str(item.get("unit", "")),
            label=str(item.get("label", "")),
        )
        for item in data
    )


def values_of(
    objectives: Sequence[Objective], scores: Mapping[str, float], cost: Mapping[str, float]
) -> tuple[float, ...]:
    """Return the value of each objective, from the scores or else the costs; NaN if missing."""
    return tuple(
        float(scores.get(objective.name, cost.get(objective.name, math.nan)))
        for objective in objectives
    )


def minimised(objectives: Sequence[Objective], values: Sequence[float]) -> tuple[float, ...]:
    """Return the values with those to be maximised negated: a point that is better when smaller."""
    return tuple(
        -value if objective.direction == "maximise" else value
        for objective, value in zip(objectives, values, strict=True)
    )


MISSING = "–"


def format_value(axis: Objective, value: float | None) -> str:
    """Return a value without its unit: 33.51 dB is ``33.51``, 89,400,000,000 is ``89.4G``."""
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
    if axis.name in ("params", "macs") or (value == int(value) and abs(value) >= 1000):
        return format_count(value)
    return f"{value:.4g}"


def format_with_unit(axis: Objective, value: float | None) -> str:
    """Return a value with its unit, as in a sentence."""
    text = format_value(axis, value)
    # "89.4G MACs" yes, "398k parameters" yes; bytes carry their unit in the text.
    return f"{text} {axis.unit}" if axis.unit and text != MISSING else text


def format_gain(gain: float) -> str:
    """Return a difference in dB with its sign: ``+1.35``, ``−0.20``."""
    return MISSING if math.isnan(gain) else f"{gain:+.2f}".replace("-", "−")


def format_share(part: float, whole: float) -> str:
    """Return `part` in percent of `whole`, to one place."""
    return MISSING if not whole else f"{100 * part / whole:.1f} %"


def format_duration(seconds: float | None) -> str:
    """Return a time span as people say it: ``8.4 s``, ``4 min 12 s``, ``3 h 05 min``."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
