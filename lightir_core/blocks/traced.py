"""Whether somebody is writing the operations down rather than running them."""

from __future__ import annotations

import torch


def is_traced() -> bool:
    """True under `torch.export`, `torch.compile` and `torch.jit.trace`.

    They know torch's operations, not gradients of our own, and would fix the number of pieces.
    """
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
