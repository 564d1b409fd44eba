"""What runs without computing: fake tensors, and how much memory they would hold.

What is held is what Python, autograd and autocast really refer to. The scratch memory inside a
kernel is not seen; where that may decide the peak, `SCRATCH` says it.
"""

import contextlib
import weakref
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightir_core.errors import BudgetError

DEVICES = ("cpu", "cuda")
FLOAT = 4
"""Bytes of a number in single precision."""


def bytes_of(tensor: Tensor) -> int:
    """Return bytes that the elements of a tensor take."""
    return tensor.numel() * tensor.element_size()


def _unfolded_bytes(args: tuple[Any, ...], out: Tensor) -> int:
    """Return the bytes that a convolution of one small image takes to be a matrix product."""
    image, weight = args[:2]
    small = len(image) == 1 and image.numel() <= 20_480 and min(weight.shape[2:]) <= 3
    if not small or weight.shape[1] != image.shape[1] or image.dtype != torch.float32:
        return 0
    return weight[0].numel() * out.shape[2:].numel() * image.element_size()


def _copied_bytes(args: tuple[Any, ...], out: object) -> int:
    """Return the bytes of a convolution's operands that are not laid out as its image."""
    image = args[1]
    same = image.is_contiguous()
    layout = torch.contiguous_format if same else torch.channels_last
    return sum(bytes_of(x) for x in args[:3] if not x.is_contiguous(memory_format=layout))


SCRATCH: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "convolution": _unfolded_bytes,
    # the gradient of an image comes in the image's layout, the features are channels-last
    "convolution_backward": _copied_bytes,
    # torch puts every index into its bag, as two whole numbers
    "_embedding_bag_per_sample_weights_backward": lambda args, out: 16 * args[2].numel(),
    # ours: row numbers as int32, where each bag starts, and the result once more
    "lightir::row_gradient": lambda args, out: (
        4 * (args[1].numel() + len(args[1]) + 1) + bytes_of(out)
    ),
}
"""Bytes that a CPU kernel needs beside its result, by operation: without these, a step of a network
with cross-layer attention over many keys takes a fifth more than predicted."""


@dataclass(frozen=True)
class MemorySetting:
    """How a network runs.

    Attributes:
        batch: images at once.
        training: forwards and backwards in training mode, or forwards alone in evaluation mode.
        half: under bfloat16 autocast; see `lightir_core.learning.step.precision`.
        device: one of `DEVICES`; "cuda" only where there is one.

    Raises:
        BudgetError: the device is unknown or not here.
    """

    batch: int = 1
    training: bool = False
    half: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse devices that nothing is known about."""
        if self.device not in DEVICES:
            raise BudgetError(f"memory on {self.device!r} is not known; use one of {DEVICES}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise BudgetError("memory on 'cuda' can only be told where torch sees a GPU; use 'cpu'")

    @contextlib.contextmanager
    def fake(self, build: Callable[[], nn.Module]) -> Generator[nn.Module]:
        """Give what `build` makes; tensors made inside have no content but act as on the device."""
        # built on meta first: initialisers ask for values, which fake tensors refuse to give
        with torch.device("meta"):
            module = build()
        with FakeTensorMode(allow_non_fake_inputs=True), torch.device(self.device):
            yield module.to_empty(device=self.device).train(self.training)

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which the network computes."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.half)


class Allocations(TorchDispatchMode):
    """Follows the storages that are made inside its `with` block.

    Attributes:
        live_bytes: of the storages that something still refers to.
        peak_bytes: the most that was live at once.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        """Start at zero; the storages of `known` are not counted."""
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  torch's is partly untyped
        self.live_bytes = 0
        self.peak_bytes = 0
        self._followed: dict[int, weakref.ref[Any]] = {}
        for tensor in known:
            self.ignore(tensor)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  torch's operation type is private
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run one operation and count what it made."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._follow(leaf)
        scratch = SCRATCH.get(func.name().removeprefix("aten::").partition(".")[0])
        room = scratch(args, out) if scratch and args[0].device.type == "cpu" else 0
        self.peak_bytes = max(self.peak_bytes, self.live_bytes + room)
        return out

    def ignore(self, tensor: Tensor) -> None:
        """Leave the storage of a tensor out."""
        self._follow(tensor, counts=False)

    def restart_peak(self) -> None:
        """Measure the peak from now on."""
        self.peak_bytes = self.live_bytes

    def _follow(self, tensor: Tensor, *, counts: bool = True) -> None:
        storage = tensor.untyped_storage()
        address = storage._cdata  # pyright: ignore[reportPrivateUsage]  has no other name
        if address in self._followed:
            return
        size = storage.nbytes() if counts else 0

        def release(_: object) -> None:
            # at once: the next storage may come to lie at the same address
            self.live_bytes -= size
            del self._followed[address]

        self._followed[address] = weakref.ref(storage, release)
        self.live_bytes += size
