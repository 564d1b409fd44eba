"""The channels of a network that can go, which tensors they run through, and how they are cut.

A unit is a width that can shrink: that of the trunk in all stages at once (`width`), of a kind of
channel that a block's own table names (heads, keys, hidden, …; see `lightir_core.blocks.axes`), or
the keys that a cross-layer module reads (`cross_keys`). Its channels lie in lanes that must keep
equally many: heads are equally wide, groups of a projection equally large, and the passes of an
untied stage, or stages that share weights, have one number for all of them. What no table names
cannot shrink: image channels, the channels that a pixel shuffle takes apart, heads that do not fall
into the groups of a projection. Projections must be plain (`fold`).

A module that may go is a branch beside a skip, so a network without it computes what it would with
the branch at zero. A stage keeps one block and one pass.

Each module says beside its code what the axes of its tensors are (`lightir_core.blocks.axes`); here
they are put together over a network. A grouped projection has one weight (groups, outputs / groups,
inputs / groups): its outputs and inputs run over two axes, of which every group keeps equally many.

Before, residual projections are made plain: x + Wx is (W + 1)x, exactly, in the same number of
parameters. A projection with the identity added (GRL, GRFormer) must be as wide as the network, so
none of its channels could go; its plain twin has no such rule.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from lightir_core.architecture import Architecture, BlockConfig, StageConfig
from lightir_core.blocks.axes import Axes, Channels, Extent, Grouped, within
from lightir_core.blocks.cross_layer import CrossLayerAttention
from lightir_core.checkpoints import load_state
from lightir_core.network import Block, Body, Network, Stem, Tail, build, closing_axes

FLOOR = 0.25
"""Least share of its channels that a unit keeps."""


@dataclass(frozen=True, order=True)
class Unit:
    """A width that can shrink.

    Attributes:
        kind: of its channels.
        stage: number of the stage whose weights it is in; of stages that share, the first. −1 is
            the whole network.
        block: number in the stage; −1 is the stage itself.
    """

    kind: str
    stage: int = -1
    block: int = -1

    def __str__(self) -> str:
        """Return the unit in words, for messages."""
        numbers = {"stage": self.stage, "block": self.block}
        where = ", ".join(f"{name} {n}" for name, n in numbers.items() if n >= 0)
        return self.kind.replace("_", "-") + (f" of {where}" if where else "")


Shares = Mapping[Unit, Fraction]
"""What is left of each unit; a unit that is missing is whole."""


@lru_cache(maxsize=512)
def units(architecture: Architecture) -> Mapping[Unit, Extent]:
    """Return every unit of an architecture whose projections are plain, in a fixed order."""
    width, lanes = architecture.width, 1
    there: dict[Unit, Extent] = {}
    for number, stage in enumerate(architecture.stages):
        for index, block in enumerate(stage.blocks):
            for kind, extent in block_channels(block, width).extents.items():
                if kind == "width":
                    lanes = math.lcm(lanes, extent.lanes)
                elif number % architecture.stage_sharing == 0:
                    here = replace(extent, lanes=extent.lanes * copies(stage))
                    there[Unit(kind, number, index)] = here
        if stage.cross_layer is not None:
            extents = CrossLayerAttention.channels(stage.cross_layer, width).extents
            there |= {Unit(kind, number): extent for kind, extent in extents.items()}
    return {Unit("width"): Extent(lanes, width // lanes, ("width",)), **there}


@lru_cache(maxsize=2048)
def block_channels(block: BlockConfig, width: int) -> Channels:
    """Return what a block says of its channels."""
    return Block.channels(block, width)


def copies(stage: StageConfig) -> int:
    """Return how many sets of weights the blocks of a stage have."""
    return 1 if stage.tied else stage.recursions


def floor_of(extent: Extent) -> int:
    """Return the least channels that a lane keeps."""
    return max(1, round(extent.size * FLOOR))


def narrowed(architecture: Architecture, shares: Shares) -> Architecture:
    """Return the architecture of which only `shares` of its units is left."""
    there = units(architecture)
    stages = list[StageConfig]()
    for number, stage in enumerate(architecture.stages):
        leader = number - number % architecture.stage_sharing
        blocks = tuple(
            replace(block, mixer=block.mixer.explicit(architecture.width)) for block in stage.blocks
        )
        for unit, share in shares.items():
            if unit.stage == leader and unit.block >= 0:
                block = _scaled(blocks[unit.block], there[unit], share)
                blocks = (*blocks[: unit.block], block, *blocks[unit.block + 1 :])
        cross = stage.cross_layer
        for unit, share in shares.items():
            if unit.stage == number and unit.block < 0:
                cross = _scaled(cross, there[unit], share)
        stages.append(replace(stage, blocks=blocks, cross_layer=cross))
    whole = Unit("width")
    width = _whole(architecture.width * shares.get(whole, Fraction(1)))
    return replace(architecture, width=width, stages=tuple(stages))


def _scaled(settings: Any, extent: Extent, share: Fraction) -> Any:  # noqa: ANN401  any settings
    """Return the settings with the fields of an extent multiplied by `share`."""
    for path in extent.fields:
        settings = _multiplied(settings, path.split("."), share)
    return settings


def _multiplied(settings: Any, path: list[str], share: Fraction) -> Any:  # noqa: ANN401
    value = getattr(settings, path[0])
    inside = _multiplied(value, path[1:], share) if path[1:] else _whole(value * share)
    return replace(settings, **{path[0]: inside})


def _whole(left: Fraction) -> int:
    assert left.denominator == 1, f"{left} is not a whole number"
    return left.numerator


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
        """Return the module in words, for reports."""
        where = "" if self.kind == "cross_layer" else f" {self.index}"
        return f"{self.kind.replace('_', '-')}{where} of stage {self.stage}"


def drops(architecture: Architecture) -> list[Drop]:
    """Return every module that may go next. Of tied passes, which are equal, the last is meant."""
    there: list[Drop] = []
    for number, stage in enumerate(architecture.stages):
        if number % architecture.stage_sharing == 0:
            if len(stage.blocks) > 1:
                there += [Drop("block", number, index) for index in range(len(stage.blocks))]
            if stage.recursions > 1:
                first = stage.recursions - 1 if stage.tied else 0
                there += [Drop("pass", number, index) for index in range(first, stage.recursions)]
        if stage.cross_layer is not None:
            there.append(Drop("cross_layer", number))
    return there


def without(architecture: Architecture, drop: Drop) -> Architecture:
    """Return the architecture that is left."""
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
    """Return the state dict that is left of a network of `architecture`."""
    if drop.kind == "cross_layer":
        prefix = f"cross_layers.{drop.stage}."
        return {name: t for name, t in tensors.items() if not name.startswith(prefix)}
    stay = _kept(architecture.stages[drop.stage], drop)
    prefix = f"stages.{drop.stage // architecture.stage_sharing}.blocks."
    left: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = re.match(re.escape(prefix) + r"(\d+)\.", name)
        if match is None:
            left[name] = tensor
        elif int(match[1]) in stay:
            new = stay.index(int(match[1]))
            left[f"{prefix}{new}.{name[match.end() :]}"] = tensor
    return left


def _kept(stage: StageConfig, drop: Drop) -> list[int]:
    """Return the numbers of the block modules that stay."""
    depth = len(stage.blocks)
    every = range(copies(stage) * depth)
    if drop.kind == "block":
        return [number for number in every if number % depth != drop.index]
    return list(every) if stage.tied else [n for n in every if n // depth != drop.index]


AxisNumber = int | Literal["grouped outputs", "grouped inputs"]


@dataclass(frozen=True, eq=False)
class Slice:
    """One axis of one tensor.

    Attributes:
        name: of the tensor, as in a state dict.
        axis: its number, or how it runs over a grouped weight.
        owner: int64, for each index of the axis the channel it belongs to, or −1 for none.
    """

    name: str
    axis: AxisNumber
    owner: Tensor


def slices(architecture: Architecture, unit: Unit) -> tuple[Slice, ...]:
    """Return every axis of every tensor that the channels of `unit` lie on."""
    return _slices(architecture)[unit]


@lru_cache(maxsize=16)
def _slices(architecture: Architecture) -> dict[Unit, tuple[Slice, ...]]:
    lying: dict[Unit, list[Slice]] = {unit: [] for unit in units(architecture)}
    for axes, stage, block, first in _modules(architecture):
        for name, axis, kind, owner in _axes(axes):
            unit = Unit("width") if kind == "width" else Unit(kind, stage, block)
            if unit in lying:  # what lies in a group with other channels is no unit
                moved = torch.where(owner < 0, owner, owner + first.get(unit, 0))
                lying[unit].append(Slice(name, axis, moved))
    return {unit: tuple(there) for unit, there in lying.items()}


def _modules(architecture: Architecture) -> Iterator[tuple[Axes, int, int, Mapping[Unit, int]]]:
    """Yield the axes of each module, its stage and block, and where its channels are counted from.

    Passes that are not tied have channels of their own, one pass after another.
    """
    width, none = architecture.width, dict[Unit, int]()
    yield within("stem", Stem.axes(architecture)), -1, -1, none
    extents = units(architecture)
    for number, stage in enumerate(architecture.stages):
        prefix = f"stages.{number // architecture.stage_sharing}"
        if number % architecture.stage_sharing == 0:
            for index, block in enumerate(stage.blocks):
                channels = block_channels(block, width)
                here = [Unit(kind, number, index) for kind in channels.extents]
                each = {u: extents[u].lanes * extents[u].size for u in here if u in extents}
                for copy in range(copies(stage)):
                    first = {unit: copy * count // copies(stage) for unit, count in each.items()}
                    name = f"{prefix}.blocks.{copy * len(stage.blocks) + index}"
                    yield within(name, channels.axes), number, index, first
            yield within(prefix, closing_axes(stage.closing, width)), number, -1, none
        if stage.cross_layer is not None:
            axes = CrossLayerAttention.channels(stage.cross_layer, width).axes
            yield within(f"cross_layers.{number}", axes), number, -1, none
    yield within("body", Body.axes(architecture)), -1, -1, none
    yield within("tail", Tail.axes(architecture)), -1, -1, none


def _axes(axes: Axes) -> Iterator[tuple[str, AxisNumber, str, Tensor]]:
    """Yield tensor, axis, kind of channel and owners of every axis that holds channels."""
    names: tuple[AxisNumber, ...] = ("grouped outputs", "grouped inputs")
    for tensor, layout in axes.items():
        numbers = names if isinstance(layout, Grouped) else range(len(layout))
        for number, axis in zip(numbers, layout, strict=True):
            for kind, owner in axis.items():
                yield tensor, number, kind, owner


def rows(tensor: Tensor, axis: AxisNumber) -> Tensor:
    """Return the tensor with `axis` in front and the rest flat: (indices, others)."""
    if axis == "grouped outputs":
        return tensor.flatten(0, 1)
    if axis == "grouped inputs":
        return tensor.transpose(1, 2).flatten(0, 1)
    return tensor.movedim(axis, 0).flatten(1) if tensor.ndim > 1 else tensor.unsqueeze(1)


def keep(tensor: Tensor, axis: AxisNumber, kept: Tensor) -> Tensor:
    """Return the tensor without the indices of `axis` that are False in `kept`.

    Args:
        tensor: of any shape; a grouped weight for a grouped axis.
        axis: which one.
        kept: (indices,) of bool; equally many True in each group of a grouped axis.
    """
    if axis == "grouped outputs":
        return tensor.flatten(0, 1)[kept].unflatten(0, (len(tensor), -1))
    if axis == "grouped inputs":
        inputs = tensor.transpose(1, 2).flatten(0, 1)[kept]
        return inputs.unflatten(0, (len(tensor), -1)).transpose(1, 2).contiguous()
    return tensor.index_select(axis, kept.nonzero().flatten().to(tensor.device))


def cut(
    tensors: Mapping[str, Tensor], cuts: Sequence[tuple[Sequence[Slice], Tensor]]
) -> dict[str, Tensor]:
    """Return the tensors without the channels that are False in each unit's mask.

    Args:
        tensors: a state dict.
        cuts: for each unit its slices and a bool for each of its channels.
    """
    masks: dict[tuple[str, AxisNumber], Tensor] = {}
    for there, kept in cuts:
        for one in there:
            mask = kept[one.owner.clamp_min(0)] | (one.owner < 0)
            key = (one.name, one.axis)
            masks[key] = masks[key] & mask if key in masks else mask
    left = dict(tensors)
    # outputs before inputs: a grouped mask counts the indices of the other axis as they were
    for (name, axis), mask in masks.items():
        left[name] = keep(left[name], axis, mask)
    return left


def gather(values: Mapping[str, Tensor], there: Sequence[Slice], channels: int) -> Tensor:
    """Return the sum of `values` over everything that belongs to each channel.

    Args:
        values: a number for each entry of each tensor; tensors that are missing count as zero.
        there: slices of one unit.
        channels: how many the unit has.

    Returns:
        (channels,) of float64.
    """
    total = torch.zeros(channels, dtype=torch.float64)
    for one in there:
        if one.name in values:
            sums = rows(values[one.name], one.axis).double().sum(1).cpu()
            owned = one.owner >= 0
            total.index_add_(0, one.owner[owned], sums[owned])
    return total


Kept = Mapping[Unit, Tensor]
"""For each unit that shrinks (lanes, channels) of bool, equally many True in each lane."""

RESIDUAL = ".map."
"""What the names of a residual projection's tensors have in them, and its plain twin's do not."""


def folded(architecture: Architecture) -> Architecture:
    """Return the architecture with plain projections only."""
    stages = (
        replace(stage, blocks=tuple(replace(b, mixer=b.mixer.plain()) for b in stage.blocks))
        for stage in architecture.stages
    )
    return replace(architecture, stages=tuple(stages))


def fold(network: Network) -> Network:
    """Return a network with plain projections that computes the same, in evaluation mode."""
    tensors = network.state_dict()
    for name in [name for name in tensors if RESIDUAL in name]:
        tensor = tensors.pop(name)
        if name.endswith("weight"):  # dense (C, C) or grouped (g, C / g, C / g)
            tensor = tensor + torch.eye(tensor.shape[-1], dtype=tensor.dtype, device=tensor.device)
        tensors[name.replace(RESIDUAL, ".")] = tensor
    return rebuilt(folded(network.architecture), tensors, network)


def cut_channels(network: Network, kept: Kept) -> Network:
    """Return a copy without the channels that are False; projections must be plain."""
    before = network.architecture
    there = units(before)
    shares = {unit: Fraction(int(mask[0].sum()), there[unit].size) for unit, mask in kept.items()}
    after = narrowed(before, shares)
    cuts = [(slices(before, unit), mask.flatten()) for unit, mask in kept.items()]
    tensors = cut(network.state_dict(), cuts)
    return rebuilt(after, rescaled(before, after, tensors), network)


def cut_module(network: Network, drop: Drop) -> Network:
    """Return a copy without one module."""
    tensors = drop_tensors(network.architecture, network.state_dict(), drop)
    return rebuilt(without(network.architecture, drop), tensors, network)


def rebuilt(architecture: Architecture, tensors: Mapping[str, Tensor], like: Network) -> Network:
    """Return the network of `architecture` with these tensors, where `like` is, in eval mode."""
    parameter = next(like.parameters())
    with torch.random.fork_rng(devices=[]):
        network = build(architecture)
    if parameter.dtype != next(network.parameters()).dtype:
        network.to(parameter.dtype)
    load_state(network, tensors, "what pruning left")
    return network.to(parameter.device).eval()


def rescaled(
    before: Architecture, after: Architecture, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors with queries grown by what 1 / √(key width) shrinks them less than before.

    So that a network without some keys computes what it would with them at zero.
    """
    left = dict(tensors)
    for number, (old, new) in enumerate(zip(before.stages, after.stages, strict=True)):
        prefix = f"stages.{number // before.stage_sharing}.blocks."
        if number % before.stage_sharing:
            continue
        for index, pair in enumerate(zip(old.blocks, new.blocks, strict=True)):
            factor, names = _growth(*pair, before.width, after.width)
            for copy in range(copies(old) if factor != 1 else 0):
                for name in names:
                    full = f"{prefix}{copy * len(old.blocks) + index}.{name}"
                    if full in left:
                        left[full] = left[full] * factor
    return left


def _growth(
    before: BlockConfig, after: BlockConfig, width_before: int, width_after: int
) -> tuple[float, tuple[str, ...]]:
    """Return by how much which tensors of a block must grow."""
    there = block_channels(after, width_after)
    return math.sqrt(there.root / block_channels(before, width_before).root), there.rooted
