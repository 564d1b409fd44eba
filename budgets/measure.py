"""Parameters and MACs of one part, traced once and then remembered."""

from __future__ import annotations

from functools import cache

import torch

from budgets.cache import CostCache, default_file
from budgets.cost import Cost
from budgets.parts import Part, build_part, part_inputs
from budgets.trace import count_macs
from budgets.units import Size


@cache
def cost_cache() -> CostCache:
    """The cache of this process, half of it on disk."""
    return CostCache(default_file())


def part_cost(part: Part, size: Size) -> Cost:
    """Cost of one part run once at a feature size; traced at the first question.

    Raises:
        BudgetError: the part performs an operation whose cost is not known.
    """
    key = part.key(size)
    known = cost_cache().get(key)
    if known is None or len(known) != 2:
        cost = trace_part(part, size)
        known = (cost.params, cost.macs)
        cost_cache().put(key, known)
    return Cost(*known)


def trace_part(part: Part, size: Size) -> Cost:
    """Build the part on the meta device and watch it run; no memory, no arithmetic.

    Raises:
        BudgetError: the part performs an operation whose cost is not known.
    """
    with torch.device("meta"):
        module = build_part(part).eval()
        inputs = part_inputs(part, size)
        macs = count_macs(lambda: module(*inputs))
    return Cost(sum(p.numel() for p in module.parameters()), macs)
