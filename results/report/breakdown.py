"""What the parts of a network cost, counted again from its architecture."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from budgets.breakdown import split_macs
from budgets.cost import Cost
from budgets.parts import feature_size
from budgets.price import skeleton_cost, stage_cost
from budgets.units import Size, format_count
from lightir_core.architecture import Architecture
from results.formats import format_share


@dataclass(frozen=True, kw_only=True)
class Share:
    """One part of a network in words: its parameters, its MACs, and their shares."""

    part: str
    params: str
    params_share: str
    macs: str
    macs_share: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """MACs by kind of work."""

    kind: str
    macs: str
    share: str


def by_part(architecture: Architecture, size: Size) -> list[Share]:
    """Stem, each stage, body and tail; they add up to the price of the network.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    patch = architecture.stem.patch_size
    features = feature_size(architecture.scale, patch, architecture.window_multiple // patch, size)
    frame = skeleton_cost(architecture, features)
    rows = [("stem, body, tail", frame.params, frame.macs)]
    for number, stage in enumerate(architecture.stages):
        cost = stage_cost(stage, architecture.width, features)
        shared = 0 if number % architecture.stage_sharing else cost.shared_params
        rows.append((f"stage {number + 1}", shared + cost.own_params, cost.macs))
    total = Cost(sum(row[1] for row in rows), sum(row[2] for row in rows))
    return [
        Share(
            part=name,
            params=f"{params:,}",
            params_share=format_share(params, total.params),
            macs=format_count(macs),
            macs_share=format_share(macs, total.macs),
        )
        for name, params, macs in rows
    ]


def by_kind(architecture: Architecture, size: Size) -> list[Kind]:
    """MACs of projections, attention, feed-forwards and convolutions.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    split = asdict(split_macs(architecture, size))
    total = sum(split.values())
    return [
        Kind(kind=name.replace("_", "-"), macs=format_count(macs), share=format_share(macs, total))
        for name, macs in split.items()
    ]
