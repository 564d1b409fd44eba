"""Parameters and MACs of one part, traced once and then remembered."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import torch

from budgets.cache import CostCache, default_file
from budgets.cost import Cost
from budgets.parts import Part, build_part, part_inputs
from budgets.trace import count_macs
from budgets.units import Size

PARTS_WORTH_A_PROCESS = 500


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


def measure_parts(wanted: Sequence[tuple[Part, Size]], workers: int = 1) -> int:
    """Trace all parts that the cache does not know; how many those were.

    Args:
        wanted: parts, each at a feature size.
        workers: processes; a few parts are not worth the start of more than one.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    missing = [(part, size) for part, size in wanted if cost_cache().get(part.key(size)) is None]
    if workers < 2 or len(missing) < PARTS_WORTH_A_PROCESS * workers:
        for part, size in missing:
            part_cost(part, size)
        return len(missing)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        traced = pool.map(_trace, missing, chunksize=64)
        for (part, size), cost in zip(missing, traced, strict=True):
            cost_cache().put(part.key(size), (cost.params, cost.macs))
    return len(missing)


def _trace(wanted: tuple[Part, Size]) -> Cost:
    torch.set_num_threads(1)
    return trace_part(*wanted)


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
