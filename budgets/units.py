"""Text to numbers and back: image sizes, counts, bytes and times.

Numbers are read as decimals, never as floats, so ``0.4M`` is exactly 400,000. A number that is
negative, zero, not finite or absurdly large is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from lightir_core.errors import BudgetError

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
