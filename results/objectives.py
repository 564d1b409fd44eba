"""What a search optimises: named objectives, each with its direction, unit and label."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from budgets.budget import AXES
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
        """Label and unit, as written beside an axis; the unit is left out if it says the same."""
        if not self.unit or self.unit.casefold() == self.label.casefold():
            return self.label
        return f"{self.label} ({self.unit})"

    def to_plain(self) -> dict[str, str]:
        """The objective as a dict of texts; `objectives_from_plain` reads a list of them."""
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
    """The value of each objective, taken from the scores or else from the costs; NaN if missing."""
    return tuple(
        float(scores.get(objective.name, cost.get(objective.name, math.nan)))
        for objective in objectives
    )


def minimised(objectives: Sequence[Objective], values: Sequence[float]) -> tuple[float, ...]:
    """The values with those to be maximised negated: a point that is better when smaller."""
    return tuple(
        -value if objective.direction == "maximise" else value
        for objective, value in zip(objectives, values, strict=True)
    )
