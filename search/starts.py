"""What a search begins with: the published designs, as points of its space and of several sizes."""

import math
import random
from collections.abc import Iterator, Sequence

from budgets.assess import Target
from lightir_core.architecture import Architecture
from lightir_core.published.presets import PRESETS, preset
from search.feasible.candidate import Candidate
from search.feasible.space import Feasible
from spaces.resemblance import resembling
from spaces.space import Choices, Space

SHARES = (0.25, 0.5, 1.0)
"""Of the budget that the designs fill, the first proposed first: small ones are known soon."""

NEARLY = 0.85
"""Of what the largest uses: designs from there on are alike in size, the best proportioned wins."""


def published_starts(feasible: Feasible, target: Target, task: str) -> tuple[Candidate, ...]:
    """Return points of the space with the blocks of the published designs, each design once a size.

    What a space cannot say is as near as it can; how wide and how deep a network is follows from
    the budget and from the published proportion. A design of which no size fits is left out.

    Args:
        feasible: the space, and what may be proposed of it.
        target: whose budget they fill in part.
        task: its name.
    """
    designs = [list(_sizes(feasible, preset(name, task))) for name in PRESETS]
    starts: dict[str, Candidate] = {}
    for share in SHARES:
        budget = target.budget.scaled(share)
        for sizes in designs:
            fitting = [(wrong, c) for wrong, c in sizes if budget.allows(c.cost)]
            if fitting:
                most = max(c.cost.params for _, c in fitting)
                near = [(w, c) for w, c in fitting if c.cost.params >= NEARLY * most]
                _, chosen = min(near, key=lambda pair: pair[0])
                starts.setdefault(chosen.architecture.id, chosen)
    return tuple(starts.values())


def _sizes(feasible: Feasible, design: Architecture) -> Iterator[tuple[float, Candidate]]:
    """Yield a design at every size that may be proposed, with how far its proportion is off."""
    space, width = feasible.space, design.width
    stages = [resembling(space, stage, width) for stage in design.stages]
    published = width / sum(len(stage.blocks) for stage in design.stages)
    for choices in _grid(space, stages):
        candidate = feasible.candidate(choices)
        if feasible.miss(candidate.cost) <= 1:
            architecture = candidate.architecture
            blocks = sum(len(stage.blocks) for stage in architecture.stages)
            yield abs(math.log(architecture.width / blocks / published)), candidate


def _grid(space: Space, stages: Sequence[Choices]) -> Iterator[Choices]:
    """Yield the points with such stages at every width, number of stages and of blocks."""
    counts = [int(value) for value in space.dimension("stages").values]
    blocks = next((d.values for d in space.stage if d.name == "blocks"), (None,))
    for width in space.dimension("width").values:
        for count in counts:
            for depth in blocks:
                wish: Choices = {"width": width, "stages": count, "stage_sharing": 1}
                for number in range(1, count + 1):
                    alike = stages[min(number, len(stages)) - 1]
                    alike = alike if depth is None else {**alike, "blocks": depth}
                    wish |= {f"stage{number}.{name}": value for name, value in alike.items()}
                point = space.complete(wish, random.Random(0))
                if all(wish.get(name, value) == value for name, value in point.items()):
                    yield point
