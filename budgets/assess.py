"""The cost of an architecture on every axis that a budget limits, under a run's settings."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch

from budgets.budget import AXES, CHEAP, Budget, Cost, Size, format_bytes, parse_size
from budgets.latency import LatencyTable, latency
from budgets.memory import inference_memory, training_memory, weights_memory
from budgets.price import price
from lightir_core.architecture import Architecture
from lightir_core.data.tasks import Task
from lightir_core.errors import BudgetError, nearest
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.step import has_fast_bfloat16
from lightir_core.published.presets import preset


@dataclass(frozen=True)
class CostSettings:
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
        """Refuse settings without a size."""
        if not self.sizes:
            raise BudgetError("costs need at least one image size; give one such as 1280x720")


def reference_size(task: Task) -> Size:
    """Return the output size that costs are stated at: the field's custom for each kind of task."""
    return Size(720, 1280) if task.scale > 1 else Size(256, 256)


def read_sizes(text: str | None, task: Task) -> tuple[Size, ...]:
    """Return output sizes joined by commas, largest first; None is the task's usual one.

    Raises:
        BudgetError: one of them is not WIDTHxHEIGHT, or is given twice.
    """
    if text is None:
        return (reference_size(task),)
    sizes = [parse_size(part) for part in text.split(",")]
    if len(set(sizes)) < len(sizes):
        raise BudgetError(f"size {text!r} names one size twice; keep one of them")
    return tuple(sorted(sizes, key=lambda size: (-size.height * size.width, size)))


def settings_on(
    device: torch.device,
    sizes: tuple[Size, ...],
    *,
    batch: int = PROXY.batch,
    patch_px: int = PROXY.patch_px,
) -> CostSettings:
    """Return how networks run on a device; parts are timed there when first asked for."""
    return CostSettings(
        sizes=sizes,
        batch=batch,
        patch_px=patch_px,
        half=has_fast_bfloat16(device),
        device=device.type,
        times=LatencyTable(device=device.type),
    )


def read_budget(text: str, task: str, settings: CostSettings) -> Budget:
    """Return a budget in plain numbers; shares of a preset such as ``60%@grformer`` are worked out.

    Raises:
        BudgetError: no such axis, or a limit in the wrong unit.
        ArchitectureError: no such preset.
    """

    def reference(name: str, axis: str) -> float:
        return getattr(assess(preset(name, task), (axis,), settings), AXES[axis].field)

    return Budget.parse(text, reference)


def assess(architecture: Architecture, axes: Collection[str], settings: CostSettings) -> Cost:
    """Return parameters, MACs, and what else `axes`, keys of `AXES`, name; others stay empty.

    Raises:
        BudgetError: an axis is unknown, or latency is asked for without a table.
    """
    for axis in axes:
        if axis not in AXES:
            raise BudgetError(f"unknown axis {axis!r}{nearest(axis, AXES)}; axes: {list(AXES)}")
    costs = [price(architecture, size) for size in settings.sizes]
    cost = Cost(costs[0].params, max(cost.macs for cost in costs))
    if "memory" in axes:
        step = training_memory(
            architecture,
            settings.batch,
            settings.patch_px,
            half=settings.half,
            device=settings.device,
            state_copies=settings.state_copies,
        )
        cost = replace(cost, training_bytes=step)
    if "inference-memory" in axes:
        peaks = (
            inference_memory(architecture, size, device=settings.device) for size in settings.sizes
        )
        cost = replace(cost, inference_bytes=max(peaks))
    if "latency" in axes:
        if settings.times is None:
            raise BudgetError("latency needs a table of times; give the settings a LatencyTable")
        times = (latency(architecture, size, settings.times) for size in settings.sizes)
        cost = replace(cost, latency_ms=max(times))
    return cost


def excess(architecture: Architecture, budget: Budget, settings: CostSettings) -> str | None:
    """Return what is over budget, in words, or None; the cheap axes are looked at first.

    Raises:
        BudgetError: as `assess`.
    """
    cheap = Budget(tuple(x for x in budget.limits if x[0] in ("params", "macs")), budget.text)
    cost = assess(architecture, (), settings)
    over = cheap.excess(cost)
    if over is not None or len(cheap.limits) == len(budget.limits):
        return over
    axes = [axis for axis, _ in budget.limits]
    weights = weights_memory(cost.params, settings.state_copies)
    if weights > (budget.limit("memory") or weights):
        return (
            f"memory: training the weights alone takes {format_bytes(weights)}, more than "
            f"{format_bytes(budget.limit('memory') or 0)}"
        )
    return budget.excess(assess(architecture, axes, settings))


@dataclass(frozen=True)
class Target:
    """What the result may cost, and how that is counted."""

    budget: Budget
    cost_settings: CostSettings

    def fits(self, architecture: Architecture) -> bool:
        """Return whether an architecture is within budget."""
        return excess(architecture, self.budget, self.cost_settings) is None

    def cost(self, architecture: Architecture) -> Cost:
        """Return parameters, MACs and every other axis that the budget limits."""
        return assess(architecture, [axis for axis, _ in self.budget.limits], self.cost_settings)

    def overrun(self, architecture: Architecture) -> float:
        """Return the largest cost as a share of its limit; at most 1 is within budget."""
        return self.budget.overrun(self.cost(architecture))

    def excess(self, architecture: Architecture) -> float:
        """Return by how much the limits are exceeded, in shares of them, added up over the axes."""
        shares = self.budget.shares(self.cost(architecture)).values()
        return sum(max(0.0, share - 1) for share in shares)

    @property
    def cheap(self) -> bool:
        """Return whether every limited axis is one of `CHEAP`."""
        return all(axis in CHEAP for axis, _ in self.budget.limits)
