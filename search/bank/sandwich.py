"""Which networks a bank is trained on: the smallest, a large one and random ones in turn.

The sandwich rule (Yu and Huang, Universally Slimmable Networks, ICCV 2019), one network a step: the
ends pull up what lies between them. A large space has no one largest network within a budget, so
that turn takes the largest of a few. Points of a space are mostly close to the budget; so random
networks keep limits of random size, and small ones are trained as well as large ones.
"""

from __future__ import annotations

import random
from dataclasses import replace

from budgets.budget import AXES
from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from lightir_core.seeds import derive
from search.feasible.candidate import Candidate
from search.feasible.space import Feasible

TURNS = ("smallest", "random", "random", "largest", "random", "random")

LEAST = 0.25
"""The lowest limits of a random network, as a share of the budget."""

ROOM = 1.5
"""... and as a multiple of what the smallest network needs."""

DRAWS = 4
"""Networks of which the largest is taken."""


class Sandwich:
    """Networks for the steps of a warm-up, each determined by the seed and the step."""

    def __init__(self, feasible: Feasible, seed: int) -> None:
        """Find the smallest network that `feasible` holds."""
        self._feasible = feasible
        self._seed = seed
        self._smallest = None if feasible.fill else feasible.smallest()
        need = feasible.overrun(self._smallest.cost) if self._smallest else 1.0
        self._least = min(1.0, max(LEAST, ROOM * need))

    def network(self, step: int) -> Architecture:
        """What is trained at a step."""
        turn = TURNS[step % len(TURNS)]
        rng = random.Random(derive(self._seed, "sandwich", step))
        if turn == "smallest" and self._smallest is not None:
            return self._smallest.architecture
        if turn == "largest":
            drawn = [self._feasible.near({}, rng) for _ in range(DRAWS)]
            return max(drawn, key=self._size).architecture
        # a band (`fill`) has no smaller limits that hold anything
        share = 1.0 if self._feasible.fill else self._least + (1 - self._least) * rng.random()
        limits = self._feasible.budget.scaled(share)
        try:
            return replace(self._feasible, budget=limits).near({}, rng).architecture
        except SearchError:  # nothing is that small on all axes at once
            return self._feasible.near({}, rng).architecture

    def _size(self, candidate: Candidate) -> float:
        axis = self._feasible.budget.limits[0][0]
        return getattr(candidate.cost, AXES[axis].field)
