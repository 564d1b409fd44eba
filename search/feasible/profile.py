"""What a budget means in a space, before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import Any

import numpy as np

from budgets.assess import CostSettings, assess
from budgets.budget import AXES, Cost
from lightir_core.architecture import Architecture
from lightir_core.published.presets import PRESETS, preset
from lightir_core.seeds import derive
from search.feasible.region import ADDITIVE, NORMAL_95, Region
from search.feasible.space import Feasible
from search.feasible.stage_costs import (
    BODY,
    TAIL,
    UNLIMITED,
    CountTable,
    Integers,
    Skeleton,
    StageContext,
    StageCosts,
)

DRAWS = 300
"""Points that are drawn for medians."""

COSTLY_DRAWS = 24
"""Points of which memory or latency is worked out: their blocks must be traced or timed."""

COUNTING_DRAWS = 2**16
"""Networks that are drawn, without looking at their choices, to tell what share of them fits."""


@dataclass(frozen=True)
class Span:
    """Smallest, median and largest cost; the ends are exact or those of the draws."""

    smallest: float
    median: float
    largest: float
    exact_ends: bool = False


@dataclass(frozen=True)
class Share:
    """How much of the space fits.

    Attributes:
        least: proved lower bound; 0 where memory or latency is limited.
        most: proved upper bound.
        estimate: from draws where the bounds differ; else equal to both.
        error: half of the estimate's 95 % interval.
        how: how it was obtained, in words.
    """

    least: float
    most: float
    estimate: float
    error: float
    how: str


@dataclass(frozen=True)
class Profile:
    """What a budget means in a space.

    Attributes:
        satisfiable: whether something fits; None if nothing was found and nothing was proved.
        share: of the space that fits.
        space: costs in the whole space, by axis; medians are of draws.
        fits: costs of what fits, by axis; of draws.
        presets: costs of each preset, and what is over budget, in words.
        alone: by axis of the budget, about which share of the space meets that limit alone; for
            memory and latency, which share of what meets all limits that add up.
        binding: the limit that refuses most.
    """

    satisfiable: bool | None
    share: Share
    space: dict[str, Span]
    fits: dict[str, Span]
    presets: dict[str, tuple[Cost, str | None]]
    alone: dict[str, float]
    binding: str


@dataclass(frozen=True)
class _Draws:
    """Architectures that were drawn, those of them that fit, and how many were asked for."""

    drawn: list[Architecture]
    fitting: list[Architecture]
    asked: int


def profile(feasible: Feasible, task: str, axes: Sequence[str], seed: int) -> Profile:
    """Count, draw and price.

    Args:
        feasible: the space and its budget.
        task: what presets are for.
        axes: what costs are given of, keys of `budgets.budget.AXES`.
        seed: of the draws.

    Raises:
        LightIRError: an axis cannot be priced here.
    """
    cost_settings = feasible.cost_settings or CostSettings(sizes=(feasible.size,))
    draws = _draw(feasible, seed)
    share = _share(feasible, draws, seed)
    limited = [axis for axis, _ in feasible.budget.limits]
    if len(limited) == 1 and limited[0] in ADDITIVE and not feasible.fill:
        alone = {limited[0]: share.estimate}
    else:
        alone = {axis: _alone(feasible, axis, draws, cost_settings) for axis in limited}
    asked = {*axes, *limited}
    costs = {name: assess(preset(name, task), asked, cost_settings) for name in PRESETS}
    return Profile(
        satisfiable=True if draws.fitting else (False if share.most == 0 else None),
        share=share,
        space=_whole(feasible, axes, cost_settings, seed),
        fits=_spans(draws.fitting, axes, cost_settings),
        presets={name: (cost, feasible.budget.excess(cost)) for name, cost in costs.items()},
        alone=alone,
        binding=min(alone, key=lambda axis: alone[axis]),
    )


def _draw(feasible: Feasible, seed: int) -> _Draws:
    rng = np.random.default_rng(derive(seed, "profile"))
    costly = any(axis not in ADDITIVE for axis, _ in feasible.budget.limits)
    enough = COSTLY_DRAWS if costly else DRAWS
    drawn: list[Architecture] = []
    fitting: list[Architecture] = []
    asked = 0
    for network in feasible.region.draw(20 * enough, rng):
        asked += 1
        if network is not None:
            drawn.append(feasible.space.decode(network.choices, feasible.shape))
            if feasible.miss(feasible.price(drawn[-1])) <= 1:
                fitting.append(drawn[-1])
        if len(fitting) == enough or len(drawn) == 4 * enough:
            break
    return _Draws(drawn, fitting, asked)


def _share(feasible: Feasible, draws: _Draws, seed: int) -> Share:
    size = feasible.space.size
    region = feasible.region
    count = region.count
    least, most = count.least / size, count.most / size
    costly = [axis for axis, _ in feasible.budget.limits if axis not in ADDITIVE]
    if not costly and count.is_exact:
        return Share(most, most, most, 0.0, "exact: counted over the stages")
    if not region.weight or not draws.asked:
        return Share(0.0, most, 0.0, 0.0, "counted over the stages")
    how = "counted over the stages in rounded costs, and "
    if costly:
        accepted = len(draws.fitting) / draws.asked
        error = region.weight / size * NORMAL_95 * sqrt(accepted * (1 - accepted) / draws.asked)
        estimate, least = region.weight / size * accepted, 0.0
        how += f"{draws.asked} draws of which {len(draws.fitting)} fit"
    else:
        rng = np.random.default_rng(derive(seed, "profile", "share"))
        estimate, error = (part / size for part in region.estimate(COUNTING_DRAWS, rng))
        how += f"{COUNTING_DRAWS:,} draws"
    return Share(least, most, min(max(estimate, least), most), error, how)


def _alone(feasible: Feasible, axis: str, draws: _Draws, cost_settings: CostSettings) -> float:
    limit = feasible.budget.limit(axis) or 0.0
    if axis in ADDITIVE:
        region = Region(feasible.region.costs, {}, {axis: limit})
        # one axis is finely counted; the sampler, which is faster, counts parameters as well
        most = region.weight if axis == "params" else region.count.most
        return min(1.0, most / feasible.space.size)
    some = draws.drawn[:COSTLY_DRAWS]
    costs = [_value(assess(one, (axis,), cost_settings), axis) for one in some]
    return sum(cost <= limit for cost in costs) / max(1, len(costs))


def _whole(
    feasible: Feasible, axes: Sequence[str], cost_settings: CostSettings, seed: int
) -> dict[str, Span]:
    """Return the costs in the whole space, by axis."""
    region = feasible.region
    rng = np.random.default_rng(derive(seed, "profile", "space"))
    some = [
        feasible.space.decode(drawn.choices, feasible.shape)
        for drawn in Region(region.costs, {}, {}).draw(DRAWS, rng)
        if drawn is not None
    ]
    spans = _spans(some, axes, cost_settings)
    low, high = extremes(region.costs)
    columns = {"params": slice(0, 1), "macs": slice(1, None)}
    for axis in set(axes) & set(ADDITIVE):
        ends = low[columns[axis]].max(), high[columns[axis]].max()
        spans[axis] = Span(int(ends[0]), spans[axis].median, int(ends[1]), exact_ends=True)
    return spans


def _spans(
    drawn: Sequence[Architecture], axes: Sequence[str], cost_settings: CostSettings
) -> dict[str, Span]:
    """Return the costs of drawn architectures; of the first few where they take long."""
    spans: dict[str, Span] = {}
    for axis in axes:
        some = drawn if axis in ADDITIVE else drawn[:COSTLY_DRAWS]
        values = sorted(_value(assess(one, (axis,), cost_settings), axis) for one in some)
        if values:
            spans[axis] = Span(values[0], median(values), values[-1])
    return spans


def _value(cost: Cost, axis: str) -> Any:  # noqa: ANN401  the fields differ in type
    return getattr(cost, AXES[axis].field)


def extremes(costs: StageCosts) -> tuple[Integers, Integers]:
    """Return the smallest and the largest cost in a whole space, by column.

    Padding to a larger multiple never takes less work, so the smallest is found whichever feature
    map a network belongs to. For the largest, a stage must need the feature map it is priced on.
    """
    table = CountTable(costs, np.full(1 + len(costs.sizes), UNLIMITED), (0, 1))
    pairs = [_of_skeleton(table, skeleton) for skeleton in table.skeletons()]
    lows, highs = zip(*(pair for pair in pairs if pair is not None), strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _of_skeleton(table: CountTable, skeleton: Skeleton) -> tuple[Integers, Integers] | None:
    low = high = skeleton.cost
    losses: list[Integers] = []
    for context in skeleton.contexts:
        joints = range(len(table.costs.joint_choices(context.known)))
        ranges = [_of_joint(table, context, joint) for joint in joints]
        low = low + np.min([least for least, _, _ in ranges], axis=0)
        most = np.max([largest for _, largest, _ in ranges], axis=0)
        high = high + most
        losses += [most - owned for _, _, owned in ranges if owned is not None]
    if table.owner(1) == skeleton.contexts[0].features:
        return low, high
    # the cheapest way to have one stage that asks for this feature map
    return (low, high - np.min(losses, axis=0)) if losses else None


def _of_joint(
    table: CountTable, context: StageContext, joint: int
) -> tuple[Integers, Integers, Integers | None]:
    """Return a stage's least and largest cost, and the largest that needs its feature map."""
    mixers, feed_forwards, passes = context.groups(table.costs, joint, BODY)
    closings, slots = context.groups(table.costs, joint, TAIL)
    if not len(mixers.costs):
        nothing = np.zeros(mixers.costs.shape[1], np.int64)
        return nothing + UNLIMITED, nothing, None
    copies, runs = passes.costs.T
    work = context.uses
    times = np.stack([copies, *[runs * work] * (mixers.costs.shape[1] - 1)], axis=1)
    both = np.full(times.shape[1], work)
    shared = np.array([1, *both[1:]])
    owners = [table.owner(int(multiple)) == context.features for multiple in mixers.multiples]

    def least_and_most(mixers: Integers) -> list[Integers]:
        return [
            (of(mixers, axis=0) + of(feed_forwards.costs, axis=0)) * of(times, axis=0)
            + of(closings.costs, axis=0) * shared
            + of(slots.costs, axis=0) * both
            for of in (np.min, np.max)
        ]

    least, most = least_and_most(mixers.costs)
    owned = mixers.costs[np.array(owners)]
    return least, most, least_and_most(owned)[1] if len(owned) else None
