"""Structured pruning to an exact budget: from a network to a smaller network of the same kind.

    fold ─► rank ─► plan ─► cut          a few times, each time closer to the budget

In every round several ways down are carried out to the same cost and the one with the smallest loss
on the patches is taken: only inside the blocks, with the width of the trunk as well, or with one of
the modules gone that are missed least. Without patches the first way that reaches the budget is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import torch

from budgets.assess import Target, assess
from budgets.budget import AXES, CHEAP, Budget, Cost
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError, SearchError
from lightir_core.network import Network
from lightir_core.pruning.channels import (
    Drop,
    cut_channels,
    cut_module,
    drops,
    fold,
    folded,
    units,
    without,
)
from lightir_core.pruning.importance import IMPORTANCES, Batches, Ranking, find, loss_on, rank
from search.compress.plan import floors, masks, plan

WAYS = 2
"""Modules of a round that are tried without, those that are missed least for what they save."""

FILLED = 0.99
"""Share of the budget that a result should fill where the grain of channels allows."""

SCREENING = 2
"""Batches that tell which modules are missed least."""


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """How to prune.

    Attributes:
        importance: a key of `lightir_core.pruning.importance.IMPORTANCES`.
        iterations: rounds; importance is measured anew in each.
        seed: decides the patches.
    """

    importance: str = "taylor"
    iterations: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.iterations < 1:
            raise SearchError(f"iterations={self.iterations}; use at least 1")


@dataclass(frozen=True)
class Pruned:
    """A smaller network with its parent's remaining weights.

    Attributes:
        network: in eval mode.
        cost: counted on its architecture.
        dropped: whole modules that went, in order.
    """

    network: Network
    cost: Cost
    dropped: tuple[Drop, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """Return what is left."""
        return self.network.architecture


Way = tuple[Network, list[Drop]]
"""A smaller network, and the modules that it lost."""

Weighed = tuple[bool, float, Way]
"""Whether a way leaves much of the budget unused, its loss, and the way."""

Between = Callable[[Network], None]
"""What is done to the network after each round but the last, such as some training."""


def prune(
    network: Network,
    target: Target,
    data: Batches | None,
    pruning: Pruning = Pruning(),
    between: Between | None = None,
) -> Pruned:
    """Return a copy of `network` without what it misses least, within the target's budget.

    Args:
        network: trained; left as it is.
        target: what the result may cost.
        data: patches to measure importance on; None for importances that need none.
        pruning: how.
        between: see `Between`.

    Raises:
        BudgetError: the network is within budget already, or cannot become that small.
        SearchError: an unknown importance, or one that needs data when none is given.
    """
    find(pruning.importance, data)
    check_target(network.architecture, target)
    small = fold(network)
    dropped: list[Drop] = []
    for number in range(pruning.iterations):
        goal = _goal(small.architecture, target, pruning.iterations - number)
        if not goal.fits(small.architecture):
            small, gone = _round(small, goal, data, pruning, number)
            dropped += gone
        if between is not None and number + 1 < pruning.iterations:
            between(small)
    return Pruned(small, target.cost(small.architecture), tuple(dropped))


def check_target(architecture: Architecture, target: Target) -> None:
    """Make sure that there is something to prune and that the budget can be met.

    Raises:
        BudgetError: it is not so; the present, or the smallest reachable, cost is told.
    """
    if target.fits(architecture):
        raise BudgetError(
            f"nothing to do: {_describe(architecture, target)} is within "
            f"{target.budget.text} already; give a smaller budget"
        )
    least = smallest(architecture, target)
    if not target.fits(least):
        raise BudgetError(
            f"budget {target.budget.text!r} is below what pruning reaches: the smallest has "
            f"{_describe(least, target)}; raise the budget"
        )


def smallest(architecture: Architecture, target: Target) -> Architecture:
    """Return what is left when every module that may go is gone and every unit is at its floor."""
    architecture = folded(architecture)
    while there := _spare(architecture, target):
        architecture = without(architecture, there[-1])
    return floors(architecture)


def _spare(architecture: Architecture, target: Target) -> list[Drop]:
    """Modules that may go if the smallest network is to stay within reach.

    Of each stage the block stays that costs least at its floors.
    """
    there = drops(architecture)
    stays: set[Drop] = set()
    for stage in {drop.stage for drop in there if drop.kind == "block"}:
        count = len(architecture.stages[stage].blocks)
        costs = [_weight_of(architecture, stage, index, target) for index in range(count)]
        stays.add(Drop("block", stage, costs.index(min(costs))))
    return [drop for drop in there if drop not in stays]


def _weight_of(architecture: Architecture, stage: int, index: int, target: Target) -> float:
    """Return the parameters and MACs of one block at its floors, in shares of the limits."""
    block = architecture.stages[stage].blocks[index]
    alone = replace(
        architecture,
        stages=(replace(architecture.stages[stage], blocks=(block,), cross_layer=None),),
        stage_sharing=1,
    )
    cost = assess(floors(alone), (), target.cost_settings)
    limits = [target.budget.limit(axis) or float("inf") for axis in CHEAP]
    dear = cost.macs / 1e15 if not target.cheap else 0.0
    return cost.params / limits[0] + cost.macs / limits[1] + dear


def _describe(architecture: Architecture, target: Target) -> str:
    """Costs in all digits, as a budget is written: rounded down they could not be met either."""
    cost = target.cost(architecture)
    return ",".join(
        f"{axis}={AXES[axis].write(getattr(cost, AXES[axis].field))}"
        for axis, _ in target.budget.limits
    )


def _goal(architecture: Architecture, target: Target, rounds_left: int) -> Target:
    """Return the target of one round: the same share of the way for each round left."""
    overrun = max(target.overrun(architecture), 1.0)
    if rounds_left == 1 or overrun == 1.0:
        return target
    budget = target.budget.scaled(overrun ** (1 - 1 / rounds_left))
    limits = tuple((axis, max(1, limit)) for axis, limit in budget.limits)
    return Target(Budget(limits, target.budget.text), target.cost_settings)


def _round(
    network: Network, goal: Target, data: Batches | None, pruning: Pruning, number: int
) -> Way:
    """Return the way down to the goal with the smallest loss, of those that fill the budget."""
    seed = pruning.seed + number
    measured = data if IMPORTANCES[pruning.importance].needs_data else None
    weigh = partial(_weigh, goal=goal, data=measured, seed=seed)
    weighed: list[Weighed] = []
    for way in _ways(network, goal, measured, pruning, seed):
        weighed.append(weigh(way))
        if measured is None and not weighed[-1][0]:
            break  # nothing tells two ways apart
    if all(far for far, *_ in weighed):
        for wide in (False, True):
            forced = _forced(network, goal, measured, pruning, seed, wide=wide)
            weighed += [weigh(way) for way in forced]
    return min(weighed, key=lambda entry: entry[:2])[-1]


def _weigh(way: Way, goal: Target, data: Batches | None, seed: int) -> Weighed:
    far = goal.overrun(way[0].architecture) < FILLED
    return far, 0.0 if data is None else loss_on(way[0], data, seed), way


def _ways(
    network: Network, goal: Target, data: Batches | None, pruning: Pruning, seed: int
) -> Iterator[Way]:
    """Networks within the goal that lost no module, or one."""
    ranked = _ranked(network, data, pruning, seed)
    for wide in (False, True):
        narrow = _narrow(network, goal, ranked, wide=wide)
        if narrow is not None:
            yield narrow, []
    there = _least_missed(network, goal, data, seed) if data is not None else []
    for drop in there[:WAYS]:
        rest = cut_module(network, drop)
        narrow = _narrow(rest, goal, _ranked(rest, data, pruning, seed), wide=False)
        if narrow is not None:
            yield narrow, [drop]


def _forced(
    network: Network, goal: Target, data: Batches | None, pruning: Pruning, seed: int, *, wide: bool
) -> Iterator[Way]:
    """Modules go, those that are missed least first, until the rest can be pruned to the goal."""
    gone: list[Drop] = []
    while missed := _least_missed(network, goal, data, seed):
        gone.append(missed[0])
        network = cut_module(network, gone[-1])
        narrow = _narrow(network, goal, _ranked(network, data, pruning, seed), wide=wide)
        if narrow is not None:
            yield narrow, gone
            return


def _ranked(
    network: Network, data: Batches | None, pruning: Pruning, seed: int
) -> Callable[[], Ranking]:
    """Measure importance once, when it is first asked for."""
    return cache(lambda: rank(network, pruning.importance, data, seed))


def _narrow(
    network: Network, goal: Target, ranked: Callable[[], Ranking], *, wide: bool
) -> Network | None:
    """Return the network with fewer channels, of the trunk too if `wide`; None if still large."""
    architecture = network.architecture
    if goal.fits(architecture):
        return network
    allowed = {unit for unit in units(architecture) if wide or unit.kind != "width"}
    if not goal.fits(floors(architecture, allowed)):
        return None
    left = plan(architecture, ranked(), goal, allowed)
    return None if left is None else cut_channels(network, masks(ranked(), left))


@torch.no_grad()
def _least_missed(network: Network, goal: Target, data: Batches | None, seed: int) -> list[Drop]:
    """Modules that may go, by the loss without them for what they save; else by what they save."""
    loss = loss_on(network, data, seed, SCREENING) if data is not None else 0.0
    before = goal.excess(network.architecture)
    scored: list[tuple[float, Drop]] = []
    for drop in _spare(network.architecture, goal):
        saved = before - goal.excess(without(network.architecture, drop))
        if saved <= 0:
            continue
        if data is None:
            scored.append((-saved, drop))
        else:
            missed = loss_on(cut_module(network, drop), data, seed, SCREENING) - loss
            scored.append((missed / saved if missed > 0 else missed * saved, drop))
    return [drop for _, drop in sorted(scored)]
