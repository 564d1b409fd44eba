"""A callback that also tells trackers about the trials of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from results.trials import Trial
from search.callbacks import Callback


class Tracker(Protocol):
    """Keeps a copy of what a run finds, in a form that another program shows."""

    def trial(self, trial: Trial) -> None:
        """A trial of the search has ended, well or badly."""
        ...


class Tracked:
    """Passes everything on, and trials to the trackers as well."""

    def __init__(self, callback: Callback, trackers: Sequence[Tracker]) -> None:
        """`trackers` are entered and left by the caller."""
        self._callback = callback
        self._trackers = trackers

    def phase(self, name: str, total: int) -> None:
        """See `Callback`."""
        self._callback.phase(name, total)

    def item(self, text: str) -> None:
        """See `Callback`."""
        self._callback.item(text)

    def trial(self, trial: Trial) -> None:
        """See `Callback`."""
        self._callback.trial(trial)
        for tracker in self._trackers:
            tracker.trial(trial)

    def note(self, text: str) -> None:
        """See `Callback`."""
        self._callback.note(text)
