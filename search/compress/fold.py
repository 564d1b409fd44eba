"""Residual projections made plain: x + Wx is (W + 1)x, exactly, in the same number of parameters.

A projection with the identity added (GRL, GRFormer) must be as wide as the network, so none of its
channels could go. Its plain twin has no such rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from lightir_core.architecture import Architecture, BlockConfig, StageConfig, WindowAttentionConfig
from lightir_core.network import Network
from search.compress.surgery import rebuilt

RESIDUAL = ".map."
"""What the names of a residual projection's tensors have in them, and its plain twin's do not."""


def folded(architecture: Architecture) -> Architecture:
    """The architecture with plain projections only."""
    return replace(architecture, stages=tuple(_folded_stage(s) for s in architecture.stages))


def fold(network: Network) -> Network:
    """A network with plain projections only that computes the same; a copy, in evaluation mode."""
    return rebuilt(folded(network.architecture), fold_tensors(network.state_dict()), network)


def fold_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the plain twin."""
    return {
        name.replace(RESIDUAL, "."): _with_identity(tensor) if _is_residual(name) else tensor
        for name, tensor in tensors.items()
    }


def _is_residual(name: str) -> bool:
    return name.endswith(f"{RESIDUAL}weight")


def _with_identity(weight: Tensor) -> Tensor:
    """Dense (C, C) or grouped (g, C / g, C / g)."""
    return weight + torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)


def _folded_stage(stage: StageConfig) -> StageConfig:
    return replace(stage, blocks=tuple(_folded_block(block) for block in stage.blocks))


def _folded_block(block: BlockConfig) -> BlockConfig:
    mixer = block.mixer
    if not isinstance(mixer, WindowAttentionConfig):
        return block
    projection = replace(mixer.projection, residual=False)
    output = replace(mixer.output, residual=False)
    return replace(block, mixer=replace(mixer, projection=projection, output=output))
