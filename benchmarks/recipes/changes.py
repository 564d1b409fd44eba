"""What can be changed in a training beside its recipe: shape, first weights, patches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lightir_core.architecture import Architecture
from lightir_core.blocks.position import TablePosition
from lightir_core.learning.step import Batches
from lightir_core.network import Network

BRANCH_ENDS = ("mixer.output", "mixer.conv2", "feed_forward.outward")
"""Last layers of residual branches."""


def without_skip(architecture: Architecture) -> Architecture:
    """The network makes the whole image, not what an interpolation lacks."""
    return replace(architecture, tail=replace(architecture.tail, skip="none"))


def plain_stem(network: Network) -> None:
    """The first layer starts as torch starts it, not blind to flat areas and strong."""
    network.stem.conv.reset_parameters()


@torch.no_grad()
def zero_branches(network: Network) -> None:
    """Every residual branch starts as nothing."""
    for name, parameter in network.stages.named_parameters():
        if any(end in name for end in BRANCH_ENDS):
            nn.init.zeros_(parameter)


def _is_matrix(name: str, parameter: Tensor) -> bool:
    return name.endswith("weight") and parameter.ndim in (2, 3) and "position" not in name


@torch.no_grad()
def wide_matrices(network: Network) -> None:
    """Matrices start with a deviation of 0.5/√inputs, not 0.02."""
    for name, parameter in network.stages.named_parameters():
        if _is_matrix(name, parameter):
            nn.init.normal_(parameter, std=0.5 / math.sqrt(parameter.shape[-1]))


@torch.no_grad()
def local_positions(network: Network) -> None:
    """Position tables start with a view of neighbours: −d²/2, d to an offset drawn for the head."""
    for module in network.modules():
        if isinstance(module, TablePosition):
            axis = torch.arange(math.isqrt(len(module.table)), dtype=torch.float32)
            offsets = torch.cartesian_prod(axis, axis) - axis.mean()
            centres = torch.randn(module.table.shape[1], 2)
            module.table.sub_(0.5 * torch.cdist(offsets, centres).square())


@dataclass(frozen=True)
class Detailed:
    """Batches some of whose patches are the most detailed of a few.

    Attributes:
        source: of all patches.
        of: among so many.
        share: of the batch.
    """

    source: Batches
    of: int
    share: float

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Those of `source`, picked by the mean difference of neighbours in a row."""
        picked = round(self.share * batch)
        plain = batch - picked
        lq, gt = self.source.batch(seed, step, plain + picked * self.of, patch_px)
        detail = lq[plain:].diff(dim=-1).abs().mean((1, 2, 3)).view(picked, self.of)
        best = plain + torch.arange(picked) * self.of + detail.argmax(1)
        kept = torch.cat([torch.arange(plain), best])
        return lq[kept], gt[kept]


def detailed(of: int, share: float = 1.0) -> Callable[[Batches, int], Batches]:
    """For so large a share of the batches, the most detailed of so many patches."""
    return lambda source, steps: Detailed(source, of, share)


@dataclass(frozen=True)
class Growing:
    """Batches of another shape in the second half of a training.

    Attributes:
        source: of all patches.
        steps: of the training.
        first: patches, and their side, in the first half.
        second: in the second.
    """

    source: Batches
    steps: int
    first: tuple[int, int]
    second: tuple[int, int]

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Those of `source`, whatever was asked for."""
        del batch, patch_px
        shape = self.first if 2 * step < self.steps else self.second
        return self.source.batch(seed, step, *shape)


def growing(first: tuple[int, int], second: tuple[int, int]) -> Callable[[Batches, int], Batches]:
    """From one (patches, side) to another."""
    return lambda source, steps: Growing(source, steps, first, second)
