"""Memory for time: forget what a module computed, and compute it again for the gradient.

Chen et al., Training deep nets with sublinear memory cost, 2016.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint


def recomputed(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)`; in training only `x` is kept for the gradient. The numbers are the same."""
    if not (module.training and torch.is_grad_enabled()):
        return module(x)
    # Weights that are lent for this call only (`torch.func.functional_call`) are gone when the
    # gradient is computed: keep the very tensors.
    weights: dict[str, Tensor] = dict(module.named_parameters())
    return checkpoint(
        lambda x: functional_call(module, weights, x),
        x,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (contextlib.nullcontext(), _statistics_at_rest(module)),
    )


@contextlib.contextmanager
def _statistics_at_rest(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms use the batch but do not count it: it was counted the first time."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
