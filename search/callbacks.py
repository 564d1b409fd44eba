"""What a run calls with its progress, for whoever is watching, and asks whether to stop."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from results.trials import Trial

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Stop = Callable[[], bool]
"""Whether the user wants the search to end: what runs is finished, nothing more is started."""


def never() -> bool:
    """Return False: nobody wants to stop."""
    return False


class Callback(Protocol):
    """What is called with progress as it happens."""

    def phase(self, name: str, total: int) -> None:
        """A phase of `total` items begins."""
        ...

    def item(self, text: str) -> None:
        """One item of the phase is done."""
        ...

    def trial(self, trial: Trial) -> None:
        """A trial of the search has ended, well or badly."""
        ...

    def note(self, text: str) -> None:
        """Something that the user should know."""
        ...


def formerly_listener(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Take the keyword `callback` under its earlier name as well, with a warning."""

    @functools.wraps(function)
    def call(*positional: Any, **keywords: Any) -> Result:  # noqa: ANN401  those of `function`
        if "listener" in keywords:
            warnings.warn("listener= is called callback= now", FutureWarning, stacklevel=2)
            keywords["callback"] = keywords.pop("listener")
        return function(*positional, **keywords)

    return call


class Silent:
    """A callback that does nothing."""

    def phase(self, name: str, total: int) -> None:
        """Ignore it."""

    def item(self, text: str) -> None:
        """Ignore it."""

    def trial(self, trial: Trial) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""


class Tracker(Protocol):
    """What keeps a copy of a run's trials, in a form that another program shows."""

    def trial(self, trial: Trial) -> None:
        """Take in a trial of the search that has ended, well or badly."""
        ...


class Tracked:
    """A callback that passes everything on, and trials to the trackers as well."""

    def __init__(self, callback: Callback, trackers: Sequence[Tracker]) -> None:
        """Wrap `callback`; the trackers are entered and left by the caller."""
        self.phase, self.item, self.note = callback.phase, callback.item, callback.note
        self._trial_callbacks = (callback.trial, *(tracker.trial for tracker in trackers))

    def trial(self, trial: Trial) -> None:
        """Pass an ended trial on, to the callback first."""
        for call in self._trial_callbacks:
            call(trial)
