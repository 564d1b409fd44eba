"""What the pipeline tells whoever is watching; the command line draws it."""

from __future__ import annotations

from typing import Protocol

from results.study import Trial


class Callback(Protocol):
    """Told about progress as it happens."""

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


class Silent:
    """Listens and says nothing."""

    def phase(self, name: str, total: int) -> None:
        """Ignore it."""

    def item(self, text: str) -> None:
        """Ignore it."""

    def trial(self, trial: Trial) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""
