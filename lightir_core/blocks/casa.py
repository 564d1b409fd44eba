"""The channel-wise half of CASA (Compacter, ACM MM 2024): attention between channels.

Notation: Q, K, V (B, h, C/h, HW) are those of the window attention; t is learned per head.
    T = softmax(Q̂ K̂ᵀ · t) V,  Q̂ and K̂ of unit length along HW
    interaction: S ⊙ σ(T) + T ⊙ σ(S), with S the window attention's output
Our choice, which the paper's figure leaves open: unit length and t. Without them the logits are
sums over all pixels and the softmax saturates.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from lightir_core.blocks.projection import unit


class ChannelBranch(nn.Module):
    """Channel attention over q, k, v, joined with the window attention's output."""

    def __init__(self, num_heads: int, *, interaction: bool = True) -> None:
        """Build the branch, which has a temperature per head and nothing else."""
        super().__init__()
        self.num_heads = num_heads
        self.interaction = interaction
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, spatial: Tensor) -> Tensor:
        """Return all (B, H, W, C); returns the two branches' sum, each gated by the other."""
        height = q.shape[1]
        q, k, v = (
            rearrange(map_, "b y x (h c) -> b h c (y x)", h=self.num_heads) for map_ in (q, k, v)
        )
        q = unit(q) * self.temperature
        weights = (q @ unit(k).transpose(-2, -1)).softmax(dim=-1)
        channel = rearrange(weights.to(v.dtype) @ v, "b h c (y x) -> b y x (h c)", y=height)
        if not self.interaction:
            return spatial + channel
        return spatial * torch.sigmoid(channel) + channel * torch.sigmoid(spatial)
