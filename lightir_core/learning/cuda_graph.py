"""How the kernels of a training step are launched.

A network of some hundred thousand parameters computes a step in less time than a processor needs to
launch its kernels on a GPU, one by one. A CUDA graph launches forward and backward pass at once; a
compiled network has fewer kernels. The numbers are those of the eager network, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, cast

import torch
from torch import Tensor, nn

from lightir_core.errors import TrainingError

LaunchMode = Literal["eager", "compiled", "graphed"]

Context = AbstractContextManager[object]


def prepare_forward(
    network: nn.Module, launch_mode: LaunchMode, lq: Tensor, context: Context
) -> Callable[[Tensor], Tensor]:
    """Return what computes `network` in a training step.

    The network itself stays as it is, so that it can be evaluated, copied and saved in between.

    Args:
        network: in training mode, on its device.
        launch_mode: "eager" is the network itself; "compiled" goes through `torch.compile`;
            "graphed" is captured in CUDA graphs.
        lq: patches of the shape, layout and device that all steps have.
        context: the precision that steps have.

    Raises:
        TrainingError: a graph where there is no GPU.
    """
    if launch_mode == "eager":
        return network
    if launch_mode == "compiled":
        torch.compiler.reset()  # else the ninth network of a process is left eager, silently
        return torch.compile(network)
    if lq.device.type != "cuda":
        raise TrainingError(
            f"a graphed step needs a CUDA GPU, not the device {lq.device}; use eager"
        )
    return _graphed(network, lq, context)


class _Shell(nn.Module):
    """Holds a network that others evaluate in between: the graph is of the shell alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


def _graphed(network: nn.Module, lq: Tensor, context: Context) -> Callable[[Tensor], Tensor]:
    before = [buffer.clone() for buffer in network.buffers()]
    with context, _without_cast_cache():
        graphed = torch.cuda.make_graphed_callables(_Shell(network), (lq,), allow_unused_input=True)
    for buffer, old in zip(network.buffers(), before, strict=True):
        buffer.copy_(old)  # capturing ran the network: batch norms have counted that
    return cast(Callable[[Tensor], Tensor], graphed)


@contextmanager
def _without_cast_cache() -> Iterator[None]:
    """Autocast casts weights anew at every use: a graph would keep those of when it was made."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)
