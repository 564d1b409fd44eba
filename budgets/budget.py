"""A budget: upper limits on what an architecture may cost."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from budgets.cost import Cost
from budgets.units import (
    format_bytes,
    format_count,
    format_time,
    parse_bytes,
    parse_count,
    parse_time,
)
from lightir_core.errors import BudgetError, nearest

EXAMPLE = "400k, or params=400k,macs=30G,memory=2GiB,inference-memory=512MiB,latency=40ms"

Reference = Callable[[str, str], float]
"""The value of a preset (first argument) on an axis (second), for budgets such as 60%@grformer."""


@dataclass(frozen=True)
class Axis:
    """One thing that a budget can limit.

    Attributes:
        field: of `Cost`.
        parse: reads a limit.
        format: writes it in a few digits.
        write: writes it in all digits.
    """

    field: str
    parse: Callable[[str], float]
    format: Callable[[float], str]
    write: Callable[[float], str]


def _digits(count: float) -> str:
    return f"{int(count):_}"


def _bytes(count: float) -> str:
    return f"{int(count)}B"


def _milliseconds(time_ms: float) -> str:
    return f"{Decimal(repr(float(time_ms))):f}ms"


AXES = {
    "params": Axis("params", parse_count, format_count, _digits),
    "macs": Axis("macs", parse_count, format_count, _digits),
    "memory": Axis("training_bytes", parse_bytes, format_bytes, _bytes),
    "inference-memory": Axis("inference_bytes", parse_bytes, format_bytes, _bytes),
    "latency": Axis("latency_ms", parse_time, format_time, _milliseconds),
}

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%\s*@\s*([\w.+-]+)")


@dataclass(frozen=True)
class Budget:
    """Upper limits by axis; all of them must hold.

    Attributes:
        limits: pairs of a key of `AXES` and its limit, in parameters, MACs, bytes or milliseconds.
        text: the budget as the user wrote it.
    """

    limits: tuple[tuple[str, float], ...]
    text: str

    @staticmethod
    def parse(text: str, reference: Reference | None = None) -> Budget:
        """Read ``400k`` (parameters) or ``axis=limit`` pairs separated by commas.

        Args:
            text: limits such as ``400k``, ``macs=30G`` or, with `reference`, ``60%@grformer``.
            reference: the value of a preset on an axis, for limits in percent.

        Raises:
            BudgetError: no such axis, an axis given twice, or a limit in the wrong unit.
        """
        limits: dict[str, float] = {}
        for item in text.split(","):
            axis, value = _split(item, text)
            if axis in limits:
                raise BudgetError(f"budget {text!r} limits {axis} twice; keep one of them")
            limits[axis] = _limit(axis, value, text, reference)
        return Budget(tuple(limits.items()), text)

    def limit(self, axis: str) -> float | None:
        """The limit on `axis`, or None when the budget leaves it free."""
        return dict(self.limits).get(axis)

    def scaled(self, factor: float) -> Budget:
        """The same axes with every limit times `factor`."""
        limits = tuple((axis, limit * factor) for axis, limit in self.limits)
        return Budget(limits, f"{factor:g} x ({self.text})")

    @property
    def plain(self) -> str:
        """The budget in full digits, which `parse` reads without any preset."""
        return ",".join(f"{axis}={AXES[axis].write(limit)}" for axis, limit in self.limits)

    def allows(self, cost: Cost) -> bool:
        """Whether `cost` is within every limit; a limit itself is allowed.

        Raises:
            BudgetError: `cost` does not know an axis that the budget limits.
        """
        return all(_value(cost, axis) <= limit for axis, limit in self.limits)

    def excess(self, cost: Cost) -> str | None:
        """What is over budget and by how much, in words; None when nothing is.

        Raises:
            BudgetError: `cost` does not know an axis that the budget limits.
        """
        over = [
            f"{axis} {AXES[axis].format(value)} is {value / limit - 1:.2%} over "
            f"{AXES[axis].format(limit)}"
            for axis, limit in self.limits
            if (value := _value(cost, axis)) > limit
        ]
        return "; ".join(over) or None


def _split(item: str, text: str) -> tuple[str, str]:
    axis, separator, value = (part.strip() for part in item.partition("="))
    if not separator:
        axis, value = "params", axis
    if axis not in AXES:
        raise BudgetError(
            f"budget {text!r}: unknown axis {axis!r}{nearest(axis, AXES)}; "
            f"axes are {', '.join(AXES)}"
        )
    if not value:
        raise BudgetError(f"budget {text!r} has an empty limit; write {EXAMPLE}")
    return axis, value


def _limit(axis: str, value: str, text: str, reference: Reference | None) -> float:
    percent = _PERCENT.fullmatch(value)
    if percent is not None and reference is not None:
        limit = float(percent[1]) / 100 * reference(percent[2], axis)
        # counts are whole numbers; rounded down, the share is never exceeded
        limit = limit if axis == "latency" else math.floor(limit)
        if not 0 < limit < float("inf"):
            raise BudgetError(f"budget {text!r}: {value} of {axis} is {limit:g}; use a positive %")
        return limit
    try:
        return AXES[axis].parse(value)
    except BudgetError as error:
        raise BudgetError(f"budget {text!r}: {axis}: {error}") from None


def _value(cost: Cost, axis: str) -> Any:  # noqa: ANN401  the fields differ in type
    value = getattr(cost, AXES[axis].field)
    if value is None:
        raise BudgetError(
            f"the budget limits {axis}, but this cost has no {AXES[axis].field}; compute it first"
        )
    return value
