"""Random search: every point of the space that the budget allows is as likely as any other."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lightir_core.seeds import derive
from search.feasible.space import Candidate
from search.strategies.strategy import Setting


class UniformStrategy:
    """Draws uniformly from what fits, nothing twice; scores are not looked at."""

    def __init__(self, setting: Setting) -> None:
        """Start without trials."""
        self._setting = setting
        self._taken: set[str] = set()

    def propose(self, number: int) -> Candidate:
        """See `Strategy.propose`."""
        rng = random.Random(derive(self._setting.seed, "propose", number))
        candidate = self._setting.feasible.draw(rng, self._taken)
        self._taken.add(candidate.architecture.id)
        return candidate

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """See `Strategy.observe`."""
