"""What a function allocates, byte for byte, while nothing is allocated.

Every new storage counts from the operation that makes it until nothing refers to it any more. So
views, in-place operations, recomputation and tensors kept for the gradient are seen as they are.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from budgets.kernels import Arguments, Kernels


class Allocations(TorchDispatchMode):
    """Follows the storages that are made inside its `with` block.

    Attributes:
        live_bytes: of the storages that something still refers to.
        peak_bytes: the most that was live at once, workspaces included.
        other_peak_bytes: the same without the storage of the tensor that was set aside.
    """

    def __init__(self, kernels: Kernels, known: Iterable[Tensor] = ()) -> None:
        """Start at zero.

        Args:
            kernels: of the device that is imagined.
            known: tensors whose storages are not counted.
        """
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  torch's is partly untyped
        self.live_bytes = 0
        self.peak_bytes = 0
        self.other_peak_bytes = 0
        self._kernels = kernels
        self._followed: dict[int, weakref.ref[Any]] = {}
        self._aside: tuple[weakref.ref[Any], int] | None = None
        for tensor in known:
            self._follow(tensor, counts=False)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  torch's operation type is private
        types: object,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run one operation and count what it made."""
        name = func.name().removeprefix("aten::").partition(".")[0]
        out = func(*args, **(kwargs or {}))
        layout = self._kernels.layouts.get(name)
        if layout is not None:
            out = layout(args, out)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._follow(leaf)
        workspace = self._kernels.workspaces.get(name, self._kernels.workspace)
        self._note(self.live_bytes + workspace(args, out))
        return out

    def restart_peak(self) -> None:
        """Measure the peaks from now on."""
        self.peak_bytes = self.live_bytes
        self.other_peak_bytes = 0

    def set_aside(self, tensor: Tensor) -> None:
        """Leave one tensor out of `other_peak_bytes`."""
        storage = tensor.untyped_storage()
        self._aside = weakref.ref(storage), storage.nbytes()

    def _note(self, in_use: int) -> None:
        self.peak_bytes = max(self.peak_bytes, in_use)
        if self._aside is not None and self._aside[0]() is not None:
            in_use -= self._aside[1]
        self.other_peak_bytes = max(self.other_peak_bytes, in_use)

    def _follow(self, tensor: Tensor, *, counts: bool = True) -> None:
        address = _address(tensor)
        if address in self._followed:
            return
        storage = tensor.untyped_storage()
        size = storage.nbytes() if counts else 0

        def release(_: object) -> None:
            # at once: the next storage may come to lie at the same address
            self.live_bytes -= size
            del self._followed[address]

        self._followed[address] = weakref.ref(storage, release)
        self.live_bytes += size


def _address(tensor: Tensor) -> int:
    """The storage's object in C++, the same for all views of it."""
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]  has no other name
