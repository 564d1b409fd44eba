"""Which values fit beside earlier choices: divisibility and the like, one rule per dimension.

The architecture itself refuses what these rules forbid (`lightir_core/architecture.py`); they are
here so that a space never proposes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Value = str | int | float | bool
"""Of a choice: a point is JSON, and any optimiser can hold it."""


class Rule(Protocol):
    """Says whether a value is allowed; `reads` names the choices it looks at."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the choices that the answer depends on."""
        ...

    def __call__(self, value: Value, known: Mapping[str, Value]) -> bool:
        """Tell whether `value` is allowed beside the `known` choices."""
        ...


@dataclass(frozen=True)
class Divides:
    """The value divides another choice, for instance heads the width."""

    whole: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The choice that is divided."""
        return (self.whole,)

    def __call__(self, value: Value, known: Mapping[str, Value]) -> bool:
        """Tell whether the whole is a multiple of `value`."""
        return int(known[self.whole]) % int(value) == 0


@dataclass(frozen=True)
class AtMost:
    """The value is at most another choice, for instance stages that share the stages there are."""

    limit: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The choice that limits."""
        return (self.limit,)

    def __call__(self, value: Value, known: Mapping[str, Value]) -> bool:
        """Tell whether the value is no larger than the limit."""
        return int(value) <= int(known[self.limit])


@dataclass(frozen=True)
class NeedsClosing:
    """skip="output" bypasses the closing convolution, so there must be one."""

    reads: tuple[str, ...] = ("closing",)

    def __call__(self, value: Value, known: Mapping[str, Value]) -> bool:
        """Tell whether this skip makes sense with the chosen closing."""
        return value != "output" or known.get("closing", "convolution") != "none"


RULES: dict[str, Rule] = {
    "stage_sharing": AtMost("stages"),  # more is the same network under another name
    "heads": Divides("width"),
    "groups": Divides("width"),
    "channel_heads": Divides("width"),
    "cross_references": AtMost("stage"),  # only so many earlier outputs exist
    "skip": NeedsClosing(),
}
