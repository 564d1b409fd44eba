"""Cut channels and modules out of a network: what is left is built from its own architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor

from lightir_core.architecture import (
    Architecture,
    CascadeAttentionConfig,
    Mixer,
    WindowAttentionConfig,
    inner_dims,
)
from lightir_core.checkpoints import load_state
from lightir_core.network import Network, build
from search.compress.channels import slices
from search.compress.drops import Drop, drop_tensors, without
from search.compress.slices import cut
from search.compress.units import Unit, narrowed, units

Kept = Mapping[Unit, Tensor]
"""For each unit that shrinks (lanes, channels) of bool, equally many True in each lane."""


def cut_channels(network: Network, kept: Kept) -> Network:
    """A copy without the channels that are False; projections must be plain."""
    before = network.architecture
    there = units(before)
    shares = {unit: Fraction(int(mask[0].sum()), there[unit].size) for unit, mask in kept.items()}
    after = narrowed(before, shares)
    cuts = [(slices(before, unit), mask.flatten()) for unit, mask in kept.items()]
    tensors = cut(network.state_dict(), cuts)
    return rebuilt(after, rescaled(before, after, tensors), network)


def cut_module(network: Network, drop: Drop) -> Network:
    """A copy without one module."""
    tensors = drop_tensors(network.architecture, network.state_dict(), drop)
    return rebuilt(without(network.architecture, drop), tensors, network)


def rebuilt(architecture: Architecture, tensors: Mapping[str, Tensor], like: Network) -> Network:
    """The network of `architecture` with these tensors, where `like` is, in eval mode."""
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
    """The tensors with queries grown by what 1 / √(key width) shrinks them less than before.

    So that a network without some keys computes what it would with them at zero.
    """
    left = dict(tensors)
    for number, (old, new) in enumerate(zip(before.stages, after.stages, strict=True)):
        if number % before.stage_sharing:
            continue
        prefix = f"stages.{number // before.stage_sharing}.blocks."
        depth, copies = len(old.blocks), 1 if old.tied else old.recursions
        for index, (one, other) in enumerate(zip(old.blocks, new.blocks, strict=True)):
            factor = _growth(one.mixer, other.mixer, before.width, after.width)
            for copy in range(copies if factor != 1 else 0):
                for name in _query_layers(other.mixer):
                    for part in ("weight", "bias"):
                        full = f"{prefix}{copy * depth + index}.mixer.{name}.{part}"
                        if full in left:
                            left[full] = left[full] * factor
    return left


def _growth(before: Mixer, after: Mixer, width_before: int, width_after: int) -> float:
    if isinstance(before, CascadeAttentionConfig) and isinstance(after, CascadeAttentionConfig):
        return math.sqrt(after.key_dim / before.key_dim)
    if isinstance(before, WindowAttentionConfig) and isinstance(after, WindowAttentionConfig):
        if before.logits == "cosine":
            return 1.0
        dims = inner_dims(before, width_before)[0], inner_dims(after, width_after)[0]
        return math.sqrt(dims[1] / dims[0])
    return 1.0


def _query_layers(mixer: Mixer) -> list[str]:
    """The last layers of a mixer that scale its queries."""
    if isinstance(mixer, CascadeAttentionConfig):
        return [f"heads.{head}.filter_norm" for head in range(mixer.num_heads)]
    return ["q"]
