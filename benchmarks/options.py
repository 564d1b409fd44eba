"""Numbers behind the benchmarks' options."""

import math

from lightir_core.errors import SearchError


def whole(option: str, text: str) -> int:
    """Read a whole number above 0.

    Raises:
        SearchError: it is none; `option` is named.
    """
    if not text.strip().isdecimal() or not int(text):
        raise SearchError(
            f"{option}: {text!r} is no whole number above 0; write numbers such as 8,64"
        )
    return int(text)


def wholes(option: str, text: str) -> tuple[int, ...]:
    """Read whole numbers above 0, joined by commas; raises as `whole`."""
    return tuple(whole(option, part) for part in text.split(","))


def decimals(option: str, text: str) -> tuple[float, ...]:
    """Read numbers above 0, joined by commas.

    Raises:
        SearchError: one is none; `option` is named.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = (math.nan,)
    if not all(0 < number < math.inf for number in numbers):
        raise SearchError(f"{option} {text!r}: use numbers above 0, such as 0.5,60")
    return numbers
