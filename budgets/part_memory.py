"""The memory of parts: each runs once on fake tensors, and every storage that it makes is followed.

What is held is what Python, autograd and autocast really refer to. The scratch memory inside a
kernel is not seen; where that may decide the peak, `SCRATCH` says it.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Generator, Iterable
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import Function
from torch.autograd.graph import get_gradient_edge
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from budgets.part_cost import cost_cache
from budgets.parts import Part, build_part, part_inputs
from budgets.units import Size
from lightir_core import architecture as arch
from lightir_core import network
from lightir_core.errors import BudgetError

DEVICES = ("cpu", "cuda")
FLOAT = 4
"""Bytes of a number in single precision."""

SCRATCH: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    # torch puts every index into its bag, as two whole numbers
    "_embedding_bag_per_sample_weights_backward": lambda args, out: 16 * args[2].numel(),
    # ours: row numbers as int32, where each bag starts, and the result once more
    "lightir::row_gradient": lambda args, out: (
        4 * (args[1].numel() + len(args[1]) + 1) + bytes_of(out)
    ),
}
"""Bytes that a CPU kernel needs beside its result, by operation: without these two, a step of a
network with cross-layer attention over many keys takes a fifth more than predicted."""

Record = TypeVar("Record", bound=Any)


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
            self._follow(tensor, counts=False)

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


@dataclass(frozen=True)
class PartMemory:
    """Bytes of one part at a feature size; the maps at its borders are left out unless said.

    Attributes:
        parameters: of its weights.
        buffers: of its constants.
        itemsize: of one element of its output.
        kept: of tensors kept for the gradient, other than the maps at its borders and its weights.
        casts: of the weights' copies in half precision, which autocast makes at the first use.
        keeps_input: 1 if its first input is kept for the gradient.
        keeps_references: 1 if its other inputs are.
        keeps_output: 1 if its output is.
        peak: the most that is live. In training while it runs backwards: what it kept, gradients of
            inputs and weights, and working room. Otherwise forwards: its output and working room.
    """

    parameters: int
    buffers: int
    itemsize: int
    kept: int
    casts: int
    keeps_input: int
    keeps_references: int
    keeps_output: int
    peak: int


@dataclass(frozen=True)
class EndsMemory:
    """Bytes of a network without its trunk, from the image to the loss and back.

    Attributes:
        parameters: of stem, body and tail.
        buffers: of their constants.
        images: of the batch, with its targets when training.
        itemsize: of one element of the trunk's input.
        peak: the most that is live, what the trunk holds left out.
        at_start: what is live when the trunk starts, its input included.
        at_return: what is live when its gradient starts, the gradient of its output included.
    """

    parameters: int
    buffers: int
    images: int
    itemsize: int
    peak: int
    at_start: int
    at_return: int


def bytes_of(tensor: Tensor) -> int:
    """Bytes that the elements of a tensor take."""
    return tensor.numel() * tensor.element_size()


@lru_cache(maxsize=2**16)
def part_memory(
    part: Part, size: Size, setting: MemorySetting, itemsizes: tuple[int, ...]
) -> PartMemory:
    """Memory of a part, traced at the first question and then remembered.

    Args:
        part: what runs.
        size: of the feature map.
        setting: how it runs.
        itemsizes: bytes of an element of each input.
    """

    def trace() -> PartMemory:
        return trace_part_memory(part, size, setting, itemsizes)

    return _remember(f"{part.key(size)} {setting} {itemsizes}", PartMemory, trace)


@lru_cache(maxsize=2**12)
def ends_memory(
    without_trunk: arch.Architecture, image: Size, setting: MemorySetting
) -> EndsMemory:
    """Memory of everything but the trunk, traced at the first question and then remembered.

    Args:
        without_trunk: see `budgets.parts.without_trunk`.
        image: size of the input.
        setting: how it runs.
    """

    def trace() -> EndsMemory:
        return _trace_ends(without_trunk, image, setting)

    return _remember(f"{without_trunk.id} {image} {setting}", EndsMemory, trace)


def _remember(key: str, kind: type[Record], trace: Callable[[], Record]) -> Record:
    """Return the record of integers stored under `key`, or the traced one, which is stored."""
    known = cost_cache().get(key)
    if known is not None and len(known) == len(fields(kind)):
        return kind(*known)
    record = trace()
    cost_cache().put(key, astuple(record))
    return record


def trace_part_memory(
    part: Part, size: Size, setting: MemorySetting, itemsizes: tuple[int, ...]
) -> PartMemory:
    """Run the part on fake tensors and follow what it allocates."""
    with setting.fake(lambda: build_part(part)) as module:
        first, *others = part_inputs(part, size, setting.batch)
        inputs = [first, *others[0]] if part.kind == "cross_layer" else [first, *others]
        # clones, because autograd refers to the leaves of its graph anyway
        types = [torch.float32 if itemsize == FLOAT else torch.bfloat16 for itemsize in itemsizes]
        typed = [x.to(dtype) for x, dtype in zip(inputs, types, strict=True)]
        maps = [x.requires_grad_(setting.training).clone() for x in typed]
        weights = [*module.parameters(), *module.buffers()]
        trace = _trace_training if setting.training else _trace_inference
        sums = sum(map(bytes_of, module.parameters())), sum(map(bytes_of, module.buffers()))
        return PartMemory(
            *sums, *trace(part, module, maps, setting, Allocations([*weights, *maps]))
        )


def _call(part: Part, module: nn.Module, maps: list[Tensor]) -> Tensor:
    return module(maps[0], maps[1:]) if part.kind == "cross_layer" else module(*maps)


def _trace_inference(
    part: Part,
    module: nn.Module,
    maps: list[Tensor],
    setting: MemorySetting,
    tracker: Allocations,
) -> tuple[int, ...]:
    with torch.no_grad(), tracker, setting.precision():
        out = _call(part, module, maps)
    return out.element_size(), 0, 0, 0, 0, 0, tracker.peak_bytes


def _trace_training(
    part: Part,
    module: nn.Module,
    maps: list[Tensor],
    setting: MemorySetting,
    tracker: Allocations,
) -> tuple[int, ...]:
    borders = [weakref.ref(x.untyped_storage()) for x in maps]
    with tracker:
        with setting.precision():
            casts = _cast_bytes(part, module, maps, tracker) if setting.half else 0
            out = _call(part, module, maps)
        borders.append(weakref.ref(out.untyped_storage()))
        out_bytes, itemsize = bytes_of(out), out.element_size()
        grad = torch.empty_like(out)
        tracker.live_bytes -= out_bytes  # whoever calls counts the gradient of the output
        edge = get_gradient_edge(out)
        # from here on only the graph holds what is kept for the gradient
        del out, maps
        keeps = [int(storage() is not None) for storage in borders]
        out_bytes *= keeps[-1]
        kept = tracker.live_bytes - out_bytes
        tracker.restart_peak()
        torch.autograd.backward([edge], [grad])
    peak = tracker.peak_bytes - out_bytes
    return itemsize, kept - casts, casts, keeps[0], max(keeps[1:-1], default=0), keeps[-1], peak


def _cast_bytes(part: Part, module: nn.Module, maps: list[Tensor], tracker: Allocations) -> int:
    """Make the weights' copies in half precision, which autocast keeps; return their bytes."""
    _call(part, module, maps)
    return tracker.live_bytes


class _Cut(nn.Module):
    """Stands where the trunk was, and notes what is live when that would start and return."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = Allocations()
        self.itemsize = self.at_start = self.at_return = 0

    def forward(self, x: Tensor) -> Tensor:
        self.itemsize, self.at_start = x.element_size(), self.tracker.live_bytes
        return _cut(x, self)


class _CutFunction(Function):
    """A new map without content, both ways."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cut: _Cut) -> Tensor:  # noqa: ANN401  torch's context
        ctx.cut = cut
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401  torch's context
        ctx.cut.at_return = ctx.cut.tracker.live_bytes
        return torch.empty_like(grads[0]), None


# torch leaves `apply` untyped
_cut = cast(Callable[[Tensor, _Cut], Tensor], _CutFunction.apply)  # pyright: ignore[reportUnknownMemberType]


def _trace_ends(
    without_trunk: arch.Architecture, image: Size, setting: MemorySetting
) -> EndsMemory:
    """Run the network with a cut in place of its stages and follow what it allocates."""
    cut, scale = _Cut(), without_trunk.scale

    def build() -> nn.Module:
        module = network.build(without_trunk)
        module.stages = nn.ModuleList([cut])
        return module

    with setting.fake(build) as module:
        lq = torch.empty(setting.batch, without_trunk.in_channels, image.height, image.width)
        shape = setting.batch, without_trunk.out_channels, image.height * scale, image.width * scale
        gt = torch.empty(shape)
        cut.tracker = Allocations([*module.parameters(), *module.buffers(), lq, gt])
        with cut.tracker, torch.set_grad_enabled(setting.training):
            with setting.precision():
                out = module(lq.contiguous(memory_format=torch.channels_last))
            if setting.training:
                loss = (out.float() - gt).abs().mean()
                del out
                loss.backward()
    return EndsMemory(
        parameters=sum(map(bytes_of, module.parameters())),
        buffers=sum(map(bytes_of, module.buffers())),
        images=bytes_of(lq) + (bytes_of(gt) if setting.training else 0),
        itemsize=cut.itemsize,
        peak=cut.tracker.peak_bytes,
        at_start=cut.at_start,
        at_return=cut.at_return,
    )
