"""Linear maps of channels: dense, grouped, with the identity added (GRL), or to unit length.

GRL, the grouped residual layer (GRFormer, ACM MM 2024, section 3.2), with g groups of C/g channels:
    GRL(x) = x + concat_j(W_j x_j + b_j);   params = C²/g + C,   MACs per token = C²/g
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHORTEST = 1e-12  # torch's: shorter vectors are divided by this and so stay shorter than one


class GroupedProduct(torch.autograd.Function):
    """x W + b in diagonal blocks, and + x; the products are added where the sum already lies."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  torch's context takes any attribute
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        residual: bool,
    ) -> Tensor:
        """Map (T, inputs), (g, outputs / g, inputs / g), (outputs) to (T, outputs)."""
        ctx.save_for_backward(x, weight)
        ctx.residual, ctx.has_bias = residual, bias is not None
        start = x if residual else x.new_zeros(1, weight.shape[0] * weight.shape[1])
        y = start.expand(len(x), -1).clone() if bias is None else start + bias.expand(len(x), -1)
        _add_products(y, _by_group(x, weight), weight.mT)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Gradients of x, weight and bias."""
        x, weight = ctx.saved_tensors
        dy = grads[0].contiguous()
        dy_groups = _by_group(dy, weight)
        dx = dy.clone() if ctx.residual else torch.zeros_like(x)
        _add_products(dx, dy_groups, weight)
        d_weight = torch.bmm(dy_groups.mT, _by_group(x, weight))
        return dx, d_weight, dy.sum(0) if ctx.has_bias else None, None


def _add_products(y: Tensor, groups: Tensor, weight: Tensor) -> None:
    """Add (g, T, inputs / g) @ (g, inputs / g, outputs / g) to (T, outputs), in place."""
    into = _by_group(y, weight)
    torch.baddbmm(into, groups, weight, out=into)


def _by_group(x: Tensor, weight: Tensor) -> Tensor:
    """Return (T, C) seen as (g, T, C / g)."""
    return x.unflatten(1, (len(weight), -1)).transpose(0, 1)


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

    def forward(self, x: Tensor, *, residual: bool = False) -> Tensor:
        """Map (..., inputs) to (..., outputs), x added if `residual`."""
        device = x.device.type
        tokens = x.reshape(-1, x.shape[-1])
        if is_traced() or (device != "meta" and torch.is_autocast_enabled(device)):
            y = (
                (_by_group(tokens, self.weight) @ self.weight.transpose(1, 2))
                .transpose(0, 1)
                .flatten(1)
            )
            y = y if self.bias is None else y + self.bias
            y = tokens + y if residual else y
        else:
            y = GroupedProduct.apply(tokens, self.weight, self.bias, residual)
        return y.view(*x.shape[:-1], -1)  # pyright: ignore[reportAttributeAccessIssue]


class ResidualProjection(nn.Module):
    """x + map(x)."""

    def __init__(self, inner: nn.Module) -> None:
        """Wrap `inner`, a map of C channels to C channels."""
        super().__init__()
        self.map = inner

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        if isinstance(self.map, GroupedLinear):
            return self.map(x, residual=True)
        return x + self.map(x)


def build_linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """Return a dense layer with the initialisation of Swin Transformer: σ = 0.02, zero bias."""
    linear = nn.Linear(inputs, outputs, bias=bias)
    nn.init.trunc_normal_(linear.weight, std=0.02)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def build_projection(
    inputs: int, outputs: int, *, groups: int = 1, residual: bool = False, bias: bool = True
) -> nn.Module:
    """Return the map of `inputs` to `outputs` channels; arguments as in `ProjectionConfig`."""
    if groups == 1:
        inner: nn.Module = build_linear(inputs, outputs, bias=bias)
    else:
        inner = GroupedLinear(inputs, outputs, groups, bias=bias)
    return ResidualProjection(inner) if residual else inner


def is_traced() -> bool:
    """Return whether an exporter or a compiler writes the operations down.

    They know torch's operations, not gradients of our own, and would fix the number of pieces.
    """
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


class UnitLength(torch.autograd.Function):
    """`unit` with its gradient in two passes; torch's own takes seven and keeps more.

    y = x / ‖x‖,  dx = (dy − y (y · dy)) / ‖x‖
    """

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
    """Return (..., d) with each vector along the last dimension divided by its length."""
    if is_traced() or not torch.is_grad_enabled():
        return F.normalize(x, dim=-1)
    return UnitLength.apply(x)  # pyright: ignore[reportReturnType]
