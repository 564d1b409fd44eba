"""Modules and tensors that know their shape, layout and device but hold nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from budgets.allocations import Allocations
from budgets.kernels import KERNELS, bytes_of
from lightir_core.errors import BudgetError

FLOAT, HALF = 4, 2
"""Bytes of an element in single precision and in bfloat16."""


@dataclass(frozen=True)
class Setting:
    """How a network is run.

    Attributes:
        batch: images at once.
        training: forwards and backwards in training mode, or forwards alone in evaluation mode.
        half: under bfloat16 autocast; see `lightir_core.learning.step.precision`.
        device: "cpu", or "cuda" where there is one.

    Raises:
        BudgetError: the device is unknown or not here.
    """

    batch: int = 1
    training: bool = False
    half: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse devices that nothing is known about."""
        if self.device not in KERNELS:
            raise BudgetError(f"memory on {self.device!r} is not known; use one of {list(KERNELS)}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise BudgetError("memory on 'cuda' can only be told where torch sees a GPU; use 'cpu'")

    def key(self) -> str:
        """The setting as a word for cache keys."""
        mode = "training" if self.training else "inference"
        return f"{self.batch} {mode} {'half' if self.half else 'single'} {self.device}"

    @contextlib.contextmanager
    def imagine(self, build: Callable[[], nn.Module]) -> Generator[nn.Module]:
        """Give what `build` makes; tensors made inside have no content but act as on the device."""
        # built on meta first: initialisers ask for values, which fake tensors refuse to give
        with torch.device("meta"):
            module = build()
        with FakeTensorMode(allow_non_fake_inputs=True), torch.device(self.device):
            yield module.to_empty(device=self.device).train(self.training)

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """The context in which the network computes."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.half)

    def follow(self, module: nn.Module, known: Iterable[Tensor]) -> Allocations:
        """A tracker that knows the weights of `module` and the tensors `known`."""
        return Allocations(KERNELS[self.device], [*module.parameters(), *module.buffers(), *known])


def weight_bytes(module: nn.Module) -> tuple[int, int]:
    """Bytes of parameters and of buffers."""
    return sum(map(bytes_of, module.parameters())), sum(map(bytes_of, module.buffers()))


def of_size(tensor: Tensor, itemsize: int) -> Tensor:
    """The tensor with elements of so many bytes."""
    return tensor.to(torch.bfloat16 if itemsize == HALF else torch.float32)
