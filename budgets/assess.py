"""The cost of an architecture on every axis that a budget limits, under a run's terms."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from budgets.budget import AXES, Budget
from budgets.cost import Cost
from budgets.latency import LatencyTable, latency
from budgets.memory import inference_memory, training_memory, weights_memory
from budgets.price import price
from budgets.units import Size, format_bytes
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError, nearest


@dataclass(frozen=True)
class Terms:
    """Under which circumstances costs hold.

    Attributes:
        sizes: of the output; every size counts, so the worst one is the cost.
        batch: patches in a training step.
        patch_px: side of a low-quality patch.
        half: whether training runs under bfloat16 autocast.
        device: "cpu" or "cuda", for memory.
        state_copies: numbers that the optimiser keeps for each parameter.
        times: for latency; None where no latency is asked for.
    """

    sizes: tuple[Size, ...]
    batch: int = 8
    patch_px: int = 16
    half: bool = False
    device: str = "cpu"
    state_copies: int = 2
    times: LatencyTable | None = None

    def __post_init__(self) -> None:
        """Refuse terms without a size."""
        if not self.sizes:
            raise BudgetError("costs need at least one image size; give one such as 1280x720")


def assess(architecture: Architecture, axes: Collection[str], terms: Terms) -> Cost:
    """Parameters, MACs, and what else `axes` name; other axes stay empty.

    Args:
        architecture: what is priced.
        axes: keys of `budgets.budget.AXES`.
        terms: sizes, and how training and inference run.

    Raises:
        BudgetError: an axis is unknown, or latency is asked for without a table.
    """
    for axis in axes:
        if axis not in AXES:
            raise BudgetError(f"unknown axis {axis!r}{nearest(axis, AXES)}; axes: {list(AXES)}")
    costs = [price(architecture, size) for size in terms.sizes]
    cost = Cost(costs[0].params, max(cost.macs for cost in costs))
    if "memory" in axes:
        cost = replace(cost, training_bytes=_training_bytes(architecture, terms))
    if "inference-memory" in axes:
        peaks = (inference_memory(architecture, size, device=terms.device) for size in terms.sizes)
        cost = replace(cost, inference_bytes=max(peaks))
    if "latency" in axes:
        cost = replace(cost, latency_ms=_latency_ms(architecture, terms))
    return cost


def excess(architecture: Architecture, budget: Budget, terms: Terms) -> str | None:
    """What is over budget, in words, or None; the cheap axes are looked at first.

    Raises:
        BudgetError: as `assess`.
    """
    cheap = Budget(tuple(x for x in budget.limits if x[0] in ("params", "macs")), budget.text)
    cost = assess(architecture, (), terms)
    over = cheap.excess(cost)
    if over is not None or len(cheap.limits) == len(budget.limits):
        return over
    axes = [axis for axis, _ in budget.limits]
    weights = weights_memory(cost.params, terms.state_copies)
    if weights > (budget.limit("memory") or weights):
        return (
            f"memory: training the weights alone takes {format_bytes(weights)}, more than "
            f"{format_bytes(budget.limit('memory') or 0)}"
        )
    return budget.excess(assess(architecture, axes, terms))


def _training_bytes(architecture: Architecture, terms: Terms) -> int:
    return training_memory(
        architecture,
        terms.batch,
        terms.patch_px,
        half=terms.half,
        device=terms.device,
        state_copies=terms.state_copies,
    )


def _latency_ms(architecture: Architecture, terms: Terms) -> float:
    if terms.times is None:
        raise BudgetError("latency needs a table of times; give the terms a LatencyTable")
    return max(latency(architecture, size, terms.times) for size in terms.sizes)
