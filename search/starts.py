"""What a search begins with: the published designs, as points of its space and of several sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from budgets.assess import Target
from budgets.budget import CHEAP, Budget, Cost
from budgets.price import price
from lightir_core.architecture import Architecture
from lightir_core.published.presets import PRESETS, preset
from search.feasible.candidate import Candidate
from search.feasible.space import Feasible
from spaces.resemblance import every_size, resembling
from spaces.space import Choices

SHARES = (0.25, 0.5, 1.0)
"""Of the budget that the designs fill, the first proposed first: small ones are known soon."""

NEARLY = 0.85
"""Of what the largest uses: designs from there on are alike in size, the best proportioned wins."""

TRIES = 3
"""Sizes of a design that are held against limits on memory or latency."""


def published_starts(feasible: Feasible, target: Target, task: str) -> tuple[Candidate, ...]:
    """Return points of the space with the blocks of the published designs, each design once a size.

    What a space cannot say is as near as it can; how wide and how deep a network is follows from
    the budget and from the published proportion. A design of which no size fits is left out.

    Args:
        feasible: the space, and what may be proposed of it.
        target: whose budget they fill in part.
        task: its name.
    """
    designs = [_sizes(feasible, preset(name, task)) for name in PRESETS]
    starts: dict[str, Candidate] = {}
    nearly = max(NEARLY, 1 - feasible.fill) if feasible.fill else NEARLY
    for share in SHARES:
        smaller = replace(target, budget=target.budget.scaled(share))
        for sizes in designs:
            choices = _fullest(sizes, smaller, nearly)
            candidate = feasible.candidate(choices) if choices else None
            if candidate and feasible.miss(candidate.cost) <= 1:
                starts.setdefault(candidate.architecture.id, candidate)
    return tuple(starts.values())


@dataclass(frozen=True)
class _Size:
    """A design at one size, what it costs, and how far its proportion is off."""

    choices: Choices
    architecture: Architecture
    cost: Cost
    wrong: float


def _sizes(feasible: Feasible, design: Architecture) -> list[_Size]:
    """Return a design at every size of the space; what is quick to count is counted."""
    space, width = feasible.space, design.width
    stages = [resembling(space, stage, width) for stage in design.stages]
    published = width / sum(len(stage.blocks) for stage in design.stages)
    sizes: list[_Size] = []
    for choices in every_size(space, stages):
        architecture = space.decode(choices, feasible.shape)
        blocks = sum(len(stage.blocks) for stage in architecture.stages)
        wrong = abs(math.log(architecture.width / blocks / published))
        sizes.append(_Size(choices, architecture, price(architecture, feasible.size), wrong))
    return sizes


def _fullest(sizes: Sequence[_Size], target: Target, nearly: float) -> Choices | None:
    """Return the best proportioned of the largest that fit, or None.

    Memory and latency take long to tell, and grow about as the MACs do: what is over such a limit
    is tried again at as much less.
    """
    quick = Budget(tuple(x for x in target.budget.limits if x[0] in CHEAP), "")
    most_macs = math.inf
    for _ in range(TRIES):
        small = [s for s in sizes if s.cost.macs <= most_macs and quick.allows(s.cost)]
        if not small:
            break
        most = max(size.cost.params for size in small)
        near = (size for size in small if size.cost.params >= nearly * most)
        chosen = min(near, key=lambda size: size.wrong)
        over = target.overrun(chosen.architecture)
        if over <= 1:
            return chosen.choices
        most_macs = chosen.cost.macs / over
    return None
