"""Weighted sums of a table's rows, whose gradient takes no longer than the sum on a CPU either."""

# pyright: standard
# Not strict: scipy brings no types.

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional as F

from lightir_core.blocks.traced import is_traced


def weighted_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Σ_j weights[n, j]·table[rows[n, j]], without storing the rows that were read.

    Args:
        table: (R, C).
        rows: (N, J), whole numbers below R.
        weights: (N, J).

    Returns:
        (N, C), of the weights' type.
    """
    table = table.to(weights.dtype)
    if torch.compiler.is_exporting():  # exporters know the plain form only
        return (weights.unsqueeze(1) @ table[rows]).squeeze(1)
    if table.device.type != "cpu" or is_traced():
        return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")
    y = F.embedding_bag(rows, table.detach(), per_sample_weights=weights, mode="sum")
    return _TableGradient.apply(y, table, rows, weights)


class _TableGradient(torch.autograd.Function):
    """Nothing forwards; backwards the gradient of the table, which torch sorts all rows for."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  torch's context takes any attribute
        y: Tensor,
        table: Tensor,
        rows: Tensor,
        weights: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.count = len(table)
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        rows, weights = ctx.saved_tensors
        reached = None
        if ctx.needs_input_grad[1]:
            reached = row_gradient(grads[0], rows, weights, ctx.count)
        return grads[0], reached, None, None


# an operation of its own, so that whoever counts memory sees it
@torch.library.custom_op("lightir::row_gradient", mutates_args=())
def row_gradient(grad: Tensor, rows: Tensor, weights: Tensor, count: int) -> Tensor:
    """What each of `count` rows gets back: Σ weights[n, j]·grad[n] over its readers, (count, C)."""
    starts = np.arange(0, rows.numel() + 1, rows.shape[1], dtype=np.int32)
    entries = weights.flatten().numpy(), rows.flatten().to(torch.int32).numpy(), starts
    reads = csr_array(entries, shape=(len(rows), count))
    return grad.new_empty(count, grad.shape[1]).copy_(torch.from_numpy(reads.T @ grad.numpy()))


@row_gradient.register_fake
def _(grad: Tensor, rows: Tensor, weights: Tensor, count: int) -> Tensor:
    return grad.new_empty(count, grad.shape[1])
