"""Linear maps of channels: dense, grouped, and with the identity added (GRL).

GRL, the grouped residual layer (GRFormer, ACM MM 2024, section 3.2), with g groups of C/g channels:
    GRL(x) = x + concat_j(W_j x_j + b_j);   params = C²/g + C,   MACs per token = C²/g
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightir_core.architecture import Projection


class GroupedLinear(nn.Module):
    """A linear map in g diagonal blocks, as one batched product.

    Args:
        inputs: channels in; group j reads the j-th contiguous slice.
        outputs: channels out, written in the same order.
        groups: g; divides both.
        bias: whether a bias is added.
    """

    def __init__(self, inputs: int, outputs: int, groups: int, *, bias: bool = True) -> None:
        """Build the map; sizes are those of the class."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, outputs // groups, inputs // groups))
        nn.init.trunc_normal_(self.weight, std=0.02)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        slices = x.reshape(-1, *self.weight.shape[::2]).transpose(0, 1)  # (g, tokens, inputs / g)
        y = slices @ self.weight.transpose(1, 2)  # (g, tokens, outputs / g)
        y = y.transpose(0, 1).reshape(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class ResidualProjection(nn.Module):
    """x + map(x)."""

    def __init__(self, inner: nn.Module) -> None:
        """Wrap `inner`, a map of C channels to C channels."""
        super().__init__()
        self.map = inner

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., C)."""
        return x + self.map(x)


def build_linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A dense layer with the initialisation of Swin Transformer: σ = 0.02, zero bias."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.trunc_normal_(linear.weight, std=0.02)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def build_projection(settings: Projection, inputs: int, outputs: int) -> nn.Module:
    """The map that `settings` describes, from `inputs` to `outputs` channels."""
    if settings.groups == 1:
        inner: nn.Module = build_linear(inputs, outputs, bias=settings.bias)
    else:
        inner = GroupedLinear(inputs, outputs, settings.groups, bias=settings.bias)
    return ResidualProjection(inner) if settings.residual else inner
