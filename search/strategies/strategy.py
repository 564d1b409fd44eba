"""What every strategy gets and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from results.objectives import Objective
from search.feasible.space import Candidate, Feasible


@dataclass(frozen=True)
class Setting:
    """What a strategy works with: the feasible space, the objectives, and its seed."""

    feasible: Feasible
    objectives: tuple[Objective, ...]
    generation: int
    seed: int


class Strategy(Protocol):
    """Proposes candidates; the same calls in the same order give the same proposals.

    A generation of proposals is made, then observed in the order of its numbers: that makes a
    search independent of how many workers run it and of when they finish.
    """

    def propose(self, number: int) -> Candidate:
        """The candidate of trial `number`: within budget, and none that was proposed before.

        Raises:
            SearchError: nothing new is left.
        """
        ...

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Take in the objective values of trial `number`; None if it failed."""
        ...
