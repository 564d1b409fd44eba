"""The memory of everything but the trunk: padding, stem, body, tail and the loss.

The network itself runs, with a cut in place of its stages that notes what is live when the trunk
would start, forwards and backwards.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function

from budgets.allocations import Allocations
from budgets.imagine import Setting, of_size, weight_bytes
from budgets.kernels import bytes_of
from budgets.parts import skeleton
from budgets.profile import remember
from budgets.units import Size
from lightir_core import architecture as arch
from lightir_core import network


@dataclass(frozen=True)
class FrameMemory:
    """Bytes of a network without its trunk, from the image to the loss and back.

    Attributes:
        parameters: of stem, body and tail.
        buffers: of their constants.
        images: of the batch, with its targets when training.
        itemsize: of one element of the trunk's input.
        before: the most that is live until the trunk starts.
        at_start: what is live then, the trunk's input included.
        finish: the most that is live from the end of the trunk until the image is there, including
            the trunk's input, which the network holds all that time.
        turn: the most that is live from there, over the loss, until the trunk's gradient starts.
        at_return: what is live then, the gradient of the trunk's output left out.
        holds_gradient: 1 if the frame holds on to that gradient, for its own skip.
        after: the most that is live once the trunk's gradient is done.
    """

    parameters: int
    buffers: int
    images: int
    itemsize: int
    before: int
    at_start: int
    finish: int
    turn: int
    at_return: int
    holds_gradient: int
    after: int


def frame_memory(
    architecture: arch.Architecture, image: Size, setting: Setting, itemsize: int
) -> FrameMemory:
    """Memory of everything but the trunk, traced at the first question and then remembered.

    Args:
        architecture: its skeleton and its windows count.
        image: size of the input.
        setting: how it runs.
        itemsize: bytes of an element of the trunk's output.
    """
    return _frame_memory(without_trunk(architecture), image, setting, itemsize)


@lru_cache(maxsize=2**12)
def _frame_memory(
    frame: arch.Architecture, image: Size, setting: Setting, itemsize: int
) -> FrameMemory:
    key = f"{frame.id} {image} {setting.key()} {itemsize}"
    return remember(key, FrameMemory, lambda: _trace(frame, image, setting, itemsize))


def without_trunk(architecture: arch.Architecture) -> arch.Architecture:
    """The skeleton with the padding of the whole: stages that only hold its windows."""
    windows = {
        block.mixer.window_size
        for stage in architecture.stages
        for block in stage.blocks
        if block.mixer.window_size is not None
    }
    frame = skeleton(architecture)
    if not windows:
        return frame
    blocks = tuple(
        arch.BlockConfig(
            mixer=arch.CascadeAttentionConfig(num_heads=1, key_dim=1, window_size=window)
        )
        for window in sorted(windows)
    )
    return replace(frame, stages=(arch.StageConfig(blocks=blocks),))


class _Cut(nn.Module):
    """Stands where the trunk was; its input is forgotten, its output new."""

    before = at_start = finish = turn = at_return = holds_gradient = 0

    def __init__(self, itemsize: int) -> None:
        super().__init__()
        self.itemsize = itemsize
        self.input_itemsize = itemsize
        self.tracker: Allocations | None = None
        self.gradient: weakref.ref[Any] | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.input_itemsize = x.element_size()
        return _end(_start(x, self), self)

    def note(self) -> tuple[int, int]:
        """Peak and live bytes so far; the peak starts again."""
        assert self.tracker is not None
        noted = self.tracker.peak_bytes, self.tracker.live_bytes
        self.tracker.restart_peak()
        return noted

    def come_back(self, gradient_bytes: int) -> None:
        """The gradient has passed the cut: look what the frame holds beside it."""
        _, live = self.note()
        self.holds_gradient = int(self.gradient is not None and self.gradient() is not None)
        # one map was made inside the cut; another is here if the frame holds the gradient
        self.at_return = live - gradient_bytes * (1 + self.holds_gradient)


class _Start(Function):
    """Where the trunk starts, and where its gradient comes out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cut: _Cut) -> Tensor:  # noqa: ANN401
        ctx.cut, ctx.dtype = cut, x.dtype
        cut.before, cut.at_start = cut.note()
        return of_size(torch.empty_like(x), cut.itemsize)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        ctx.cut.come_back(bytes_of(grads[0]))
        return torch.empty_like(grads[0], dtype=ctx.dtype), None


class _End(Function):
    """Where the trunk ends, and where its gradient comes in."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cut: _Cut) -> Tensor:  # noqa: ANN401
        ctx.cut = cut
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        ctx.cut.turn, _ = ctx.cut.note()
        ctx.cut.gradient = weakref.ref(grads[0].untyped_storage())
        return torch.empty_like(grads[0]), None


# torch leaves `apply` untyped
_start = cast(Callable[[Tensor, _Cut], Tensor], _Start.apply)  # pyright: ignore[reportUnknownMemberType]
_end = cast(Callable[[Tensor, _Cut], Tensor], _End.apply)  # pyright: ignore[reportUnknownMemberType]


def _trace(frame: arch.Architecture, image: Size, setting: Setting, itemsize: int) -> FrameMemory:
    cut = _Cut(itemsize)

    def build() -> nn.Module:
        module = network.build(frame)
        module.stages = nn.ModuleList([cut])
        return module

    with setting.imagine(build) as module:
        lq = torch.empty(setting.batch, frame.in_channels, image.height, image.width)
        shape = image.height * frame.scale, image.width * frame.scale
        gt = torch.empty(setting.batch, frame.out_channels, *shape)
        cut.tracker = setting.follow(module, (lq, gt))
        with cut.tracker:
            _run(module, lq, gt, setting, cut)
        last, _ = cut.note()
    return FrameMemory(
        *weight_bytes(module),
        bytes_of(lq) + (bytes_of(gt) if setting.training else 0),
        cut.input_itemsize,
        *(cut.before, cut.at_start, cut.finish),
        *(cut.turn, cut.at_return, cut.holds_gradient, last),
    )


def _run(module: nn.Module, lq: Tensor, gt: Tensor, setting: Setting, cut: _Cut) -> None:
    """What a training step or a restoration does."""
    with torch.set_grad_enabled(setting.training):
        with setting.precision():
            out = module(lq.contiguous(memory_format=torch.channels_last))
        cut.finish, _ = cut.note()
        if setting.training:
            loss = (out.float() - gt).abs().mean()
            del out
            loss.backward()
