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


def _digits(count: float) -> str:
    return f"{int(count):_}"


def _bytes(count: float) -> str:
    return f"{int(count)}B"


def _milliseconds(time_ms: float) -> str:
    return f"{Decimal(repr(float(time_ms))):f}ms"


@dataclass(frozen=True)
class Axis:
    """One thing that a budget can limit and a search can minimise.

    Attributes:
        key: names it in budgets and objectives.
        field: of `Cost`.
        label: the name that people read.
        unit: shown after numbers that `format` leaves without one; may be empty.
        phrase: follows a number in a sentence.
        parse: reads a limit.
        format: writes it in a few digits.
        write: writes it in all digits.
    """

    key: str
    field: str
    label: str
    unit: str
    phrase: str
    parse: Callable[[str], float]
    format: Callable[[float], str]
    write: Callable[[float], str]

    def value(self, cost: Cost) -> Any:  # noqa: ANN401  the fields differ in type
        """Return what `cost` says on this axis.

        Raises:
            BudgetError: it was not counted.
        """
        value = getattr(cost, self.field)
        if value is None:
            raise BudgetError(
                f"the budget limits {self.key}, but this cost has no {self.field}; compute it first"
            )
        return value


_COUNT = parse_count, format_count, _digits
_MEMORY = parse_bytes, format_bytes, _bytes
_TIME = parse_time, format_time, _milliseconds
_ROWS = (
    Axis("params", "params", "Parameters", "parameters", "parameters", *_COUNT),
    Axis("macs", "macs", "MACs", "MACs", "MACs", *_COUNT),
    Axis("memory", "training_bytes", "Training memory", "", "in training", *_MEMORY),
    Axis("inference-memory", "inference_bytes", "Inference memory", "", "in inference", *_MEMORY),
    Axis("latency", "latency_ms", "Latency", "ms", "a forward pass", *_TIME),
)
AXES = {axis.key: axis for axis in _ROWS}
"""All axes of a cost by the key of budgets and objectives: a new axis is one more row."""

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
        """Return the limit on `axis`, or None when the budget leaves it free."""
        return dict(self.limits).get(axis)

    def scaled(self, factor: float) -> Budget:
        """Return the same axes with every limit times `factor`."""
        limits = tuple((axis, limit * factor) for axis, limit in self.limits)
        return Budget(limits, f"{factor:g} x ({self.text})")

    @property
    def plain(self) -> str:
        """Return the budget in full digits, which `parse` reads without any preset."""
        return ",".join(f"{axis}={AXES[axis].write(limit)}" for axis, limit in self.limits)

    def shares(self, cost: Cost) -> dict[str, float]:
        """Return the cost on each limited axis as a share of its limit.

        Raises:
            BudgetError: `cost` does not know an axis that the budget limits.
        """
        return {axis: AXES[axis].value(cost) / limit for axis, limit in self.limits}

    def overrun(self, cost: Cost) -> float:
        """Return the largest of the `shares`; at most 1 is within budget."""
        return max(self.shares(cost).values(), default=0.0)

    def allows(self, cost: Cost) -> bool:
        """Return whether `cost` is within every limit; a limit itself is allowed.

        Raises:
            BudgetError: `cost` does not know an axis that the budget limits.
        """
        # not by `overrun`: a share of a very large limit is rounded
        return all(AXES[axis].value(cost) <= limit for axis, limit in self.limits)

    def excess(self, cost: Cost) -> str | None:
        """Return what is over budget and by how much, as text; None when nothing is.

        Raises:
            BudgetError: `cost` does not know an axis that the budget limits.
        """
        over = [
            f"{axis} {AXES[axis].format(AXES[axis].value(cost))} is {share - 1:.2%} over "
            f"{AXES[axis].format(limit)}"
            for (axis, limit), share in zip(self.limits, self.shares(cost).values(), strict=True)
            if AXES[axis].value(cost) > limit
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
