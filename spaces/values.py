"""What each dimension can hold, so that a user's space is refused before it is searched."""

from __future__ import annotations

from lightir_core.architecture import POSITIONS
from lightir_core.errors import SpaceError, nearest
from spaces.decode import (
    FEED_FORWARDS,
    MIXERS,
    NETWORK_DEFAULTS,
    STAGE_DEFAULTS,
    Value,
    parse_window,
)

WORDS: dict[str, tuple[str, ...]] = {
    "tail_skip": ("interpolated", "none"),
    "mixer": tuple(MIXERS),
    "shift": ("alternate", "none"),
    "logits": ("dot", "cosine"),
    "position": tuple(POSITIONS),
    "feed_forward": (*FEED_FORWARDS, "none"),
    "norm": ("pre", "post"),
    "recursion_weights": ("tied", "untied"),
    "closing": ("convolution", "depthwise", "none"),
    "skip": ("input", "output", "none"),
    "cross_selection": ("none", "soft", "hard"),
}

# name -> smallest and largest whole number; 1 and no end for the others
RANGES: dict[str, tuple[int, int]] = {
    "width": (1, 4096),
    "recursions": (1, 16),
    "cross_keys": (0, 10**6),
}

WINDOW_SIDES_PX = (2, 256)


def check_value(name: str, value: Value) -> None:
    """Make sure that the dimension `name` can hold `value`.

    Raises:
        SpaceError: the value is of another kind, out of range or an unknown word.
    """
    default = (NETWORK_DEFAULTS | STAGE_DEFAULTS)[name]
    if name in WORDS:
        if value not in WORDS[name]:
            hint = nearest(str(value), WORDS[name])
            raise SpaceError(f"{name}={value!r} is not known{hint}; use {', '.join(WORDS[name])}")
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise SpaceError(f"{name}={value!r} is neither true nor false")
    elif isinstance(default, int):
        _check_count(name, value)
    elif isinstance(default, float):
        if isinstance(value, bool | str) or not 0 < value < float("inf"):
            raise SpaceError(f"{name}={value!r} is not a positive number")
    else:
        _check_window(name, value)


def _check_count(name: str, value: Value) -> None:
    least, most = RANGES.get(name, (1, 10**6))
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SpaceError(f"{name}={value!r} is not a whole number from {least} to {most}")


def _check_window(name: str, value: Value) -> None:
    least, most = WINDOW_SIDES_PX
    if not all(least <= side <= most for side in parse_window(str(value))):
        raise SpaceError(f"{name}={value!r} has a side that is not from {least} to {most} px")
