"""Which channels go: the least important for what they save, until the counted cost fits.

Steps of all units are put in one order, by importance over the cost that they save; how many of
them are taken is searched on the cost of the real architecture, and what coarse steps overshot is
given back where it fits. So the result is within budget, and nothing in it could be one step wider.
"""

from collections.abc import Collection, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from budgets.assess import Target, assess
from budgets.budget import CHEAP
from lightir_core.architecture import Architecture
from lightir_core.pruning.channels import Extent, Unit, floor_of, narrowed, units
from lightir_core.pruning.importance import Ranking

DEAR_TRIES = 8
"""Most steps that are given back where a cost takes a measurement."""

CLOSE = 0.995
"""Share of the budget that a plan should fill."""

TRIES = 8
"""Plans that are made to fill it, each without the coarsest step of the one before."""

Sizes = dict[Unit, int]
"""Channels that each lane of a unit keeps."""


def floors(architecture: Architecture, allowed: Collection[Unit] | None = None) -> Architecture:
    """Return the architecture with every unit, or every allowed one, at its floor."""
    there = units(architecture)
    left = {u: floor_of(there[u]) for u in there if allowed is None or u in allowed}
    return shrunk(architecture, left)


def shrunk(architecture: Architecture, left: Sizes) -> Architecture:
    """Return the architecture whose units have these sizes; units that are missing stay whole."""
    there = units(architecture)
    shares = {unit: Fraction(size, there[unit].size) for unit, size in left.items()}
    return narrowed(architecture, shares)


def plan(
    architecture: Architecture, ranking: Ranking, target: Target, allowed: Collection[Unit]
) -> Sizes | None:
    """Return sizes of the units that shrink; None where even the floors of `allowed` do not fit.

    Args:
        architecture: over budget; with plain projections.
        ranking: importance of every channel.
        target: what must hold.
        allowed: units that may shrink.
    """
    there = {unit: extent for unit, extent in units(architecture).items() if unit in allowed}
    order = _order(architecture, there, ranking, target)
    best: tuple[float, Sizes] | None = None
    for _ in range(TRIES):
        count = _fewest(architecture, there, order, target)
        if count is None:
            break
        left = _give_back(architecture, there, order[:count], target)
        filled = target.overrun(shrunk(architecture, left))
        if best is None or filled > best[0]:
            best = filled, left
        if filled >= CLOSE:
            break
        # the last step was too coarse: pass it over, and take finer ones in its place
        coarse = order[count - 1]
        order = order[: count - 1] + [unit for unit in order[count:] if unit != coarse]
    return None if best is None else best[1]


def masks(ranking: Ranking, left: Sizes) -> dict[Unit, Tensor]:
    """Return which channels of each unit that shrinks stay: in every lane the most important."""
    kept: dict[Unit, Tensor] = {}
    for unit, size in left.items():
        importance = ranking[unit]
        best = importance.argsort(dim=1, descending=True, stable=True)[:, :size]
        kept[unit] = torch.zeros_like(importance, dtype=torch.bool).scatter_(1, best, True)
    return kept


def _fewest(
    architecture: Architecture, there: dict[Unit, Extent], order: Sequence[Unit], target: Target
) -> int | None:
    """Return how many steps, in order, the budget asks for; None if all are too few."""
    if not target.fits(shrunk(architecture, _sizes(there, order))):
        return None
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        fits = target.fits(shrunk(architecture, _sizes(there, order[:middle])))
        low, high = (low, middle) if fits else (middle + 1, high)
    return high


def _order(
    architecture: Architecture, there: dict[Unit, Extent], ranking: Ranking, target: Target
) -> list[Unit]:
    """Return units, each as often as it may lose a channel per lane, the cheapest loss first."""
    scored: list[tuple[float, int, Unit, int]] = []
    for number, (unit, extent) in enumerate(there.items()):
        if extent.size == floor_of(extent):
            continue
        saved = _saved(architecture, unit, extent, target)
        losses = ranking[unit].sort(dim=1).values.sum(dim=0) / saved
        scored += [
            (losses[step].item(), number, unit, step)
            for step in range(extent.size - floor_of(extent))
        ]
    scored.sort(key=lambda entry: (entry[0], entry[1], entry[3]))
    return [unit for _, _, unit, _ in scored]


def _saved(architecture: Architecture, unit: Unit, extent: Extent, target: Target) -> float:
    """Return what one step of a unit saves, in shares of the limits that are exceeded.

    Memory and time are taken to follow the MACs: they only decide the order here.
    """
    cost_settings, axes = target.cost_settings, {axis for axis, _ in target.budget.limits}
    before = assess(architecture, (), cost_settings)
    after = assess(shrunk(architecture, {unit: extent.size - 1}), (), cost_settings)
    saved = 0.0
    for axis in CHEAP:
        follows = axis == "macs" and not axes.issubset(CHEAP)
        limit = target.budget.limit(axis) or (before.macs if follows else None)
        if limit is not None and (follows or getattr(before, axis) > limit):
            saved += (getattr(before, axis) - getattr(after, axis)) / limit
    return max(saved, 1e-9)


def _sizes(there: dict[Unit, Extent], gone: Sequence[Unit]) -> Sizes:
    left: Sizes = {}
    for unit in gone:
        left[unit] = left.get(unit, there[unit].size) - 1
    return left


def _give_back(
    architecture: Architecture, there: dict[Unit, Extent], gone: Sequence[Unit], target: Target
) -> Sizes:
    """Return what is left after `gone`, the latest losses given back where there is room."""
    left = _sizes(there, gone)
    tries = len(gone) if target.cheap else DEAR_TRIES
    for unit in dict.fromkeys(reversed(gone)):
        while tries and left[unit] < there[unit].size:
            tries -= 1
            wider = {**left, unit: left[unit] + 1}
            if not target.fits(shrunk(architecture, wider)):
                break
            left = wider
    return {unit: size for unit, size in left.items() if size < there[unit].size}
