"""Vectors of unit length, with a gradient in two passes; torch's own takes seven and keeps more.

y = x / ‖x‖,  dx = (dy − y (y · dy)) / ‖x‖
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lightir_core.blocks.traced import is_traced

SHORTEST = 1e-12  # torch's: shorter vectors are divided by this and so stay shorter than one


class Unit(torch.autograd.Function):
    """`unit` with its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401  torch's context takes any attribute
        """Keep the result and the lengths."""
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(SHORTEST)
        y = x / length
        ctx.save_for_backward(y, length)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ANN401
        """Take out of the gradient what would only lengthen y."""
        y, length = ctx.saved_tensors
        (dy,) = grads
        along = (y * dy).sum(-1, keepdim=True)
        return torch.addcmul(dy, y, along, value=-1).div_(length)


def unit(x: Tensor) -> Tensor:
    """(..., d) with each vector along the last dimension divided by its length."""
    if is_traced() or not torch.is_grad_enabled():
        return F.normalize(x, dim=-1)
    return Unit.apply(x)  # pyright: ignore[reportReturnType]
