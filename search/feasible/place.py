"""Where a stage stands in a network."""

from __future__ import annotations

from dataclasses import dataclass

from search.feasible.stage_costs import Context, Sizes


@dataclass(frozen=True)
class Place:
    """Where a stage stands: what it sees of its network, and how many stages repeat it.

    Attributes:
        context: of `Ledger.context`.
        uses: stages that use these choices, and all their weights but the cross-layer slot's.
        features: padded feature map for each output size.
        multiple: what the sides of all windows divide.
    """

    context: Context
    uses: int
    features: Sizes
    multiple: int
