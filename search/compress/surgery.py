"""Cut channels and modules out of a network: what is left is built from its own architecture.

Before, residual projections are made plain: x + Wx is (W + 1)x, exactly, in the same number of
parameters. A projection with the identity added (GRL, GRFormer) must be as wide as the network, so
none of its channels could go; its plain twin has no such rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from lightir_core.architecture import Architecture, BlockConfig
from lightir_core.network import Network, build
from lightir_core.tensor_files import load_state
from search.compress.channels import cut, slices
from search.compress.units import (
    Drop,
    Unit,
    block_channels,
    copies,
    drop_tensors,
    narrowed,
    units,
    without,
)

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
    tensors = {
        name.replace(RESIDUAL, "."): _with_identity(tensor)
        if name.endswith(f"{RESIDUAL}weight")
        else tensor
        for name, tensor in network.state_dict().items()
    }
    return rebuilt(folded(network.architecture), tensors, network)


def _with_identity(weight: Tensor) -> Tensor:
    """Return W + 1 of a dense (C, C) or a grouped (g, C / g, C / g) weight."""
    return weight + torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)


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
