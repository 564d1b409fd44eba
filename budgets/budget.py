"""What a network may cost: its costs, their units, and hard limits on them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from lightir_core.errors import BudgetError, nearest

CHEAP = ("params", "macs")
"""Axes that are sums over cached parts; the others take a measurement each."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs at one size.

    Attributes:
        params: all parameters, relative-position tables included.
        macs: multiply-adds of one forward pass of one image, 1 each, in convolutions, linear
            layers and matrix products (attention included), at the padded size.
        training_bytes: peak of a training step; None when it was not asked for.
        inference_bytes: peak of one forward pass without gradients; None when not asked for.
        latency_ms: time of one forward pass; None when it was not asked for.
    """

    params: int
    macs: int
    training_bytes: int | None = None
    inference_bytes: int | None = None
    latency_ms: float | None = None

    @staticmethod
    def zero() -> Cost:
        """Return the cost of nothing, to start a sum with."""
        return Cost(0, 0)

    def to_plain(self) -> dict[str, int | float]:
        """Return the axes that were counted, by field name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __add__(self, other: Cost) -> Cost:
        """Return parameters and MACs of both; peaks of memory do not add up and are left out."""
        return Cost(self.params + other.params, self.macs + other.macs)


COUNT_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BYTE_UNITS = {
    "b": 1,
    **{"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12},
    **{"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40},
}
TIME_UNITS_MS = {"us": Decimal("0.001"), "ms": Decimal(1), "s": Decimal(1000)}

LARGEST = 10**18
LARGEST_SIDE = 2**16

_NUMBER = re.compile(
    r"(?P<digits>[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?)\s*(?P<unit>[a-z]*)",
    re.IGNORECASE,
)
_SIZE = re.compile(r"([0-9]{1,9})\s*[x×]\s*([0-9]{1,9})", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Size:
    """Height and width of an image in pixels.

    Raises:
        BudgetError: a side is not between 1 and 65,536.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        """Refuse sides that no image has."""
        for side in (self.height, self.width):
            if not 1 <= side <= LARGEST_SIDE:
                raise BudgetError(
                    f"size {self} has a side of {side} pixels; sides go from 1 to {LARGEST_SIDE}, "
                    "for example 1280x720"
                )

    def __str__(self) -> str:
        """Return the size as people write it: WIDTHxHEIGHT."""
        return f"{self.width}x{self.height}"


def parse_size(text: str) -> Size:
    """Read ``WIDTHxHEIGHT`` such as ``1280x720``.

    Raises:
        BudgetError: the text has another form, or a side is zero or far too large.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BudgetError(f"size {text!r} is not WIDTHxHEIGHT in pixels; write it as 1280x720")
    return Size(height=int(match[2]), width=int(match[1]))


def parse_count(text: str) -> int:
    """Read a count such as ``400k``, ``0.4M``, ``400_000`` or ``30G``.

    Raises:
        BudgetError: not a positive whole number, or an unknown unit.
    """
    return _whole(text, *_parse(text, "count", COUNT_UNITS, "400k, 0.4M, 400_000 or 30G"))


def parse_bytes(text: str) -> int:
    """Read a memory size such as ``512MiB``, ``2GiB`` or ``1.5GB``, in bytes.

    Raises:
        BudgetError: not a positive whole number of bytes, or an unknown or missing unit.
    """
    return _whole(text, *_parse(text, "memory size", BYTE_UNITS, "512MiB, 2GiB or 1.5GB"))


def parse_time(text: str) -> float:
    """Read a duration such as ``40ms``, ``0.5s`` or ``900us``, in milliseconds.

    Raises:
        BudgetError: not a positive number, or an unknown or missing unit.
    """
    return float(_parse(text, "time", TIME_UNITS_MS, "40ms, 0.5s or 900us")[0])


def parse_share(text: str) -> float:
    """Return a share such as ``5%`` or ``0.05``; ``0`` is none.

    Raises:
        BudgetError: another form, or not from 0 to below 1.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)\s*", text)
    share = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= share < 1:
        raise BudgetError(f"share {text!r} is not from 0 to below 100 %; write 5% or 0.05")
    return share


def format_count(count: float) -> str:
    """Return a count in four digits at most: ``400k``, ``780.9k``, ``363.1G``."""
    return _format(count, (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3), ("", 1)))


def format_bytes(count: float) -> str:
    """Return a memory size in binary units: ``512MiB``, ``1.25GiB``."""
    return _format(count, (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1)))


def format_time(time_ms: float) -> str:
    """Return a duration given in milliseconds: ``40ms``, ``1.2s``, ``850us``."""
    return _format(time_ms * 1000, (("s", 10**6), ("ms", 10**3), ("us", 1)))


def _parse(
    text: str, what: str, units: dict[str, int] | dict[str, Decimal], examples: str
) -> tuple[Decimal, str]:
    """Return the number in base units, and the examples for a later message."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise BudgetError(f"{what} {text!r} is not a positive number; write {examples}")
    unit = match["unit"].lower()
    if unit not in units:
        problem = f"has the unknown unit {match['unit']!r}" if unit else "has no unit"
        raise BudgetError(f"{what} {text!r} {problem}; write {examples}")
    number = Decimal(match["digits"].replace("_", "")) * units[unit]
    if not 0 < number <= LARGEST:
        problem = "is zero" if number == 0 else f"is larger than {LARGEST:.0e}"
        raise BudgetError(f"{what} {text!r} {problem}; write {examples}")
    return number, examples


def _whole(text: str, number: Decimal, examples: str) -> int:
    if number != int(number):
        raise BudgetError(f"{text!r} is not a whole number of units; write {examples}")
    return int(number)


def _format(number: float, units: tuple[tuple[str, int], ...]) -> str:
    # 999.96k would print as 1000k: a value that rounds up to the next unit belongs to it
    for unit, scale in units:
        value = number / scale
        if value >= 0.99995 or scale == 1:
            digits = f"{value:.4g}" if value < 1000 else f"{value:.0f}"
            return f"{digits}{unit}"
    raise AssertionError("the last unit has scale 1")


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
