"""Operations on many tensors at once: on a GPU a few kernels in place of one for each tensor.

torch has them under private names, which its own optimisers use; here they have types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

_torch = cast(Any, torch)


def add(tensors: Sequence[Tensor], others: Sequence[Tensor], alpha: float = 1) -> None:
    """Do `tensor += alpha * other` for each pair, in place."""
    _torch._foreach_add_(list(tensors), list(others), alpha=alpha)


def multiply(tensors: Sequence[Tensor], factor: float | Tensor) -> None:
    """Do `tensor *= factor` for each, in place."""
    _torch._foreach_mul_(list(tensors), factor)


def subtracted(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
    """Return `tensor - other` for each pair."""
    return list(_torch._foreach_sub(list(tensors), list(others)))


def approach(tensors: Sequence[Tensor], ends: Sequence[Tensor], weight: float) -> None:
    """Move each tensor the share `weight` of its way to its end, in place."""
    _torch._foreach_lerp_(list(tensors), list(ends), weight)


def between(tensors: Sequence[Tensor], ends: Sequence[Tensor], weight: float) -> list[Tensor]:
    """Return where `approach` would move each tensor."""
    return list(_torch._foreach_lerp(list(tensors), list(ends), weight))
