"""Whole modules that can go: passes of a recursion, blocks, cross-layer modules.

Each is a branch beside a skip, so a network without it computes what it would with the branch at
zero. A stage keeps one block and one pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from lightir_core.architecture import Architecture, StageConfig


@dataclass(frozen=True, order=True)
class Drop:
    """A module that may go.

    Attributes:
        kind: a pass, a block of all passes, or a cross-layer module.
        stage: number of the stage; of stages that share weights, the first.
        index: of the pass or the block; 0 for a cross-layer module.
    """

    kind: Literal["pass", "block", "cross_layer"]
    stage: int
    index: int = 0

    def __str__(self) -> str:
        """In words, for reports."""
        where = "" if self.kind == "cross_layer" else f" {self.index}"
        return f"{self.kind.replace('_', '-')}{where} of stage {self.stage}"


def drops(architecture: Architecture) -> list[Drop]:
    """Every module that may go next. Tied passes are all the same: the last one stands for all."""
    found: list[Drop] = []
    for number, stage in enumerate(architecture.stages):
        if number % architecture.stage_sharing == 0:
            if len(stage.blocks) > 1:
                found += [Drop("block", number, index) for index in range(len(stage.blocks))]
            if stage.recursions > 1:
                first = stage.recursions - 1 if stage.tied else 0
                found += [Drop("pass", number, index) for index in range(first, stage.recursions)]
        if stage.cross_layer is not None:
            found.append(Drop("cross_layer", number))
    return found


def without(architecture: Architecture, drop: Drop) -> Architecture:
    """The architecture that is left."""
    sharing = architecture.stage_sharing if drop.kind != "cross_layer" else 1
    last = drop.stage + sharing - 1
    return replace(
        architecture,
        stages=tuple(
            _shortened(stage, drop) if drop.stage <= number <= last else stage
            for number, stage in enumerate(architecture.stages)
        ),
    )


def _shortened(stage: StageConfig, drop: Drop) -> StageConfig:
    if drop.kind == "cross_layer":
        return replace(stage, cross_layer=None)
    if drop.kind == "pass":
        return replace(stage, recursions=stage.recursions - 1)
    blocks = (*stage.blocks[: drop.index], *stage.blocks[drop.index + 1 :])
    return replace(stage, blocks=blocks)


def drop_tensors(
    architecture: Architecture, tensors: Mapping[str, Tensor], drop: Drop
) -> dict[str, Tensor]:
    """The state dict that is left of a network of `architecture`."""
    if drop.kind == "cross_layer":
        prefix = f"cross_layers.{drop.stage}."
        return {name: t for name, t in tensors.items() if not name.startswith(prefix)}
    places = _kept(architecture.stages[drop.stage], drop)
    prefix = f"stages.{drop.stage // architecture.stage_sharing}.blocks."
    left: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = re.match(re.escape(prefix) + r"(\d+)\.", name)
        if match is None:
            left[name] = tensor
        elif int(match[1]) in places:
            new = places.index(int(match[1]))
            left[f"{prefix}{new}.{name[match.end() :]}"] = tensor
    return left


def _kept(stage: StageConfig, drop: Drop) -> list[int]:
    """Numbers of the block modules that stay."""
    depth = len(stage.blocks)
    copies = 1 if stage.tied else stage.recursions
    every = range(copies * depth)
    if drop.kind == "block":
        return [number for number in every if number % depth != drop.index]
    return list(every) if stage.tied else [n for n in every if n // depth != drop.index]
