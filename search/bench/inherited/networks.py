"""The networks of the measurement: some spread over the sizes, some equally large."""

from __future__ import annotations

import random
from dataclasses import replace

from budgets.budget import Budget
from search.bench.rank import draw
from search.feasible import Candidate, Feasible
from search.seeds import derive

BAND = 0.05
"""Half the width of the band of equal size, as a share of its middle."""

MIDDLE = 0.75
"""The middle of the band, as a share of the budget's first limit."""


def networks(feasible: Feasible, spread: int, equal: int, seed: int) -> list[Candidate]:
    """Networks within budget: `spread` of rising limits, then `equal` more inside the band."""
    found = draw(feasible, spread, seed)
    (axis, limit), *others = feasible.budget.limits
    top = limit * MIDDLE * (1 + BAND)
    budget = Budget(((axis, top), *others), f"the upper edge of {MIDDLE:g} x {limit:g} ± {BAND:g}")
    band = replace(feasible, budget=budget, fill=2 * BAND / (1 + BAND))
    rng = random.Random(derive(seed, "band"))
    taken = {candidate.architecture.id for candidate in found}
    for _ in range(equal):
        found.append(band.near({}, rng, taken))
        taken.add(found[-1].architecture.id)
    return found


def in_band(candidate: Candidate, budget: Budget) -> bool:
    """Whether a network is as large as those of the band."""
    limit = budget.limits[0][1]
    return abs(candidate.cost.params / (limit * MIDDLE) - 1) <= BAND
