"""Muon (Jordan et al., 2024): matrices whose every direction moves at the same rate.

Notation: G gradient, M momentum, η rate, A x B the matrix' shape.
    M ← μM + (1 − μ)G,  U = (1 − μ)G + μM
    X ← U / ‖U‖,  five times X ← aX + (bXXᵀ + c(XXᵀ)²)X       U's nearest orthogonal matrix, nearly
    W ← (1 − ηλ)W − 0.2 η √max(A, B) X                          steps as large as Adam's
The function is `torch.optim.Muon`'s with `match_rms_adamw`. That one works off matrix by matrix,
and a light network has dozens of small ones: here all of one shape are worked off at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for matrices; their state is one "momentum_buffer" each."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        """Take two-dimensional tensors of any shapes."""
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})
        self._shapes: dict[torch.Size, list[Tensor]] = {}
        for group in self.param_groups:
            for matrix in group["params"]:
                self._shapes.setdefault(matrix.shape, []).append(matrix)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of all matrices that have a gradient; `closure` is torch's and not used."""
        [group] = self.param_groups
        lr, decay = group["lr"], group["weight_decay"]
        for shape, all_of_it in self._shapes.items():
            matrices = [matrix for matrix in all_of_it if matrix.grad is not None]
            if not matrices:
                continue
            updates = orthogonal(torch.stack([self._momentum(matrix) for matrix in matrices]))
            rate = 0.2 * lr * math.sqrt(max(shape))
            for matrix, update in zip(matrices, updates, strict=True):
                if decay:
                    matrix.mul_(1 - lr * decay)
                matrix.add_(update, alpha=-rate)

    def _momentum(self, matrix: Tensor) -> Tensor:
        """The update before it is made orthogonal."""
        state = self.state[matrix]
        grad = matrix.grad
        assert grad is not None
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix, memory_format=torch.preserve_format)
        momentum: Tensor = state["momentum_buffer"]
        momentum.lerp_(grad, 1 - MOMENTUM)
        return grad.lerp(momentum, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """About the nearest orthogonal matrix of each: (K, A, B) to (K, A, B), in bfloat16.

    Singular values end between 0.7 and 1.2 (Newton and Schulz's iteration, quintic).
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
