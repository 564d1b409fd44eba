"""The memory of one part: what it keeps for the gradient, and how high it climbs.

The part runs forwards and backwards once between stand-ins for its neighbours.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function

from budgets.allocations import Allocations
from budgets.imagine import Setting, of_size, weight_bytes
from budgets.kernels import bytes_of
from budgets.part_cost import cost_cache
from budgets.parts import Part, build_part, part_inputs
from budgets.units import Size

Record = TypeVar("Record", bound=Any)


@dataclass(frozen=True)
class PartMemory:
    """Bytes of one part at a feature size; the maps at its borders are left out.

    Attributes:
        parameters: of its weights.
        buffers: of its constants.
        itemsize: of one element of its output.
        kept: of tensors kept for the gradient, other than its inputs, output and weights.
        casts: of the weights' copies in half precision, which autocast makes at the first use and
            holds until the forward pass is over.
        kept_casts: of those copies that are also kept for the gradient.
        keeps_input: 1 if its first input is kept for the gradient.
        keeps_references: 1 if its other inputs are.
        keeps_output: 1 if its output is.
        forward_peak: the most that is live while it runs forwards, its output included.
        backward_peak: the most that is live while it runs backwards: what it kept, the gradients of
            its output, inputs and weights, and working room.
        other_backward_peak: the same without the gradient of its output, for when somebody else
            holds that too.
    """

    parameters: int
    buffers: int
    itemsize: int
    kept: int
    casts: int
    kept_casts: int
    keeps_input: int
    keeps_references: int
    keeps_output: int
    forward_peak: int
    backward_peak: int
    other_backward_peak: int


@lru_cache(maxsize=2**16)
def part_memory(part: Part, size: Size, setting: Setting, itemsizes: tuple[int, ...]) -> PartMemory:
    """Memory of a part, traced at the first question and then remembered.

    Args:
        part: what runs.
        size: of the feature map.
        setting: how it runs.
        itemsizes: bytes of an element of each input.
    """
    key = f"{part.key(size)} {setting.key()} {itemsizes}"
    return remember(key, PartMemory, lambda: trace_memory(part, size, setting, itemsizes))


def remember(key: str, kind: type[Record], trace: Callable[[], Record]) -> Record:
    """The record of integers stored under `key`, or the traced one, which is stored."""
    known = cost_cache().get(key)
    if known is not None and len(known) == len(fields(kind)):
        return kind(*known)
    record = trace()
    cost_cache().put(key, astuple(record))
    return record


def trace_memory(
    part: Part, size: Size, setting: Setting, itemsizes: tuple[int, ...]
) -> PartMemory:
    """Run the part without doing anything and follow what it would allocate."""
    with setting.imagine(lambda: build_part(part)) as module:
        first, *others = part_inputs(part, size, setting.batch)
        models = [first, *others[0]] if part.kind == "cross_layer" else [first, *others]
        maps = [of_size(x, itemsize) for x, itemsize in zip(models, itemsizes, strict=True)]
        measure = _train if setting.training else _infer
        return measure(part, module, maps, setting)


def _call(part: Part, module: nn.Module, maps: list[Tensor], setting: Setting) -> Tensor:
    with setting.precision():
        return module(maps[0], maps[1:]) if part.kind == "cross_layer" else module(*maps)


def _infer(part: Part, module: nn.Module, maps: list[Tensor], setting: Setting) -> PartMemory:
    tracker = setting.follow(module, maps)
    with torch.no_grad():
        casts, _ = _casts(part, module, maps, setting)
        with tracker:
            out = _call(part, module, maps, setting)
    peak = tracker.peak_bytes
    return PartMemory(*weight_bytes(module), out.element_size(), 0, casts, 0, 0, 0, 0, peak, 0, 0)


def _casts(part: Part, module: nn.Module, maps: list[Tensor], setting: Setting) -> tuple[int, int]:
    """`casts` and `kept_casts`: what a second pass over the same weights does not add."""
    if not setting.half:
        return 0, 0
    tracker = setting.follow(module, maps)
    with tracker:
        with setting.precision():
            outs = [_call(part, module, maps, setting)]
            once = tracker.live_bytes
            outs.append(_call(part, module, maps, setting))
            twice = tracker.live_bytes
        after = tracker.live_bytes
    own = twice - once
    return once - own, after - 2 * own


class _Source(Function):
    """A map that comes from somewhere: what it is made of is not kept for the gradient."""

    @staticmethod
    def forward(ctx: Any, start: Tensor, model: Tensor) -> Tensor:  # noqa: ANN401  torch's context
        """A new map like `model`; `start` only makes it require a gradient."""
        return torch.empty_like(model)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None]:  # noqa: ANN401  torch's context
        """Take the gradient and let go of it."""
        return None, None


class _Sink(Function):
    """A neighbour that keeps nothing and sends a gradient back."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, tracker: Allocations) -> Tensor:  # noqa: ANN401
        ctx.shape, ctx.dtype, ctx.tracker = out.shape, out.dtype, tracker
        return out.new_empty(())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        form = torch.channels_last
        grad = torch.empty(ctx.shape, dtype=ctx.dtype, device=grads[0].device, memory_format=form)
        ctx.tracker.set_aside(grad)
        return grad, None


# torch leaves `apply` untyped
_source = cast(Callable[[Tensor, Tensor], Tensor], _Source.apply)  # pyright: ignore[reportUnknownMemberType]
_sink = cast(Callable[[Tensor, Allocations], Tensor], _Sink.apply)  # pyright: ignore[reportUnknownMemberType]


def _train(part: Part, module: nn.Module, models: list[Tensor], setting: Setting) -> PartMemory:
    start = torch.empty(()).requires_grad_()
    maps = [_source(start, model) for model in models]
    casts, kept_casts = _casts(part, module, maps, setting)
    tracker = setting.follow(module, maps)
    borders = [weakref.ref(x.untyped_storage()) for x in maps]
    with tracker:
        out = _call(part, module, maps, setting)
        forward_peak, itemsize, border = tracker.peak_bytes, out.element_size(), bytes_of(out)
        borders.append(weakref.ref(out.untyped_storage()))
        end = _sink(out, tracker)
        # from here on only the graph holds what is kept for the gradient
        del out, maps
        keeps = [storage() is not None for storage in borders]
        border *= keeps[-1]
        kept = tracker.live_bytes - border
        tracker.restart_peak()
        end.backward()  # pyright: ignore[reportUnknownMemberType]  torch leaves it untyped
    return PartMemory(
        *weight_bytes(module),
        itemsize,
        kept - kept_casts,
        *(casts, kept_casts),
        *(int(keeps[0]), int(any(keeps[1:-1])), int(keeps[-1])),
        forward_peak,
        tracker.peak_bytes - border,
        tracker.other_peak_bytes - border,
    )
