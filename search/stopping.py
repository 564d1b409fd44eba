"""When a search ends before its trials are used up: no progress, or the user's wish."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from results.objectives import Objective, minimised
from results.pareto import Front

Stop = Callable[[], bool]
"""Whether the user wants the search to end: what runs is finished, nothing more is started."""


def never() -> bool:
    """Nobody wants that."""
    return False


class Progress:
    """Counts trials since the front last gained something.

    A point that joins the front without being on it already is exactly what makes the hypervolume
    grow, wherever the reference point lies behind the front; so no reference has to be chosen.
    Observed in the order of their numbers, trials give the same count for any number of workers.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        """Start without trials."""
        self._objectives = objectives
        self._front = Front()
        self.idle = 0

    def observe(self, values: Sequence[float] | None) -> None:
        """Take in the next trial's objective values; None if it failed."""
        self.idle += 1
        if values is None:
            return
        point = minimised(self._objectives, values)
        if point not in self._front.points and self._front.add(point):
            self.idle = 0
