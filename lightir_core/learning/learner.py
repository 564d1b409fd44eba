"""A network that learns step by step; on a GPU all of a step is one graph.

A network of some hundred thousand parameters computes a step in less time than a processor needs to
launch its thousands of kernels on a GPU, one by one. A CUDA graph launches all of them at once: the
patches of the step, forward and backward pass, clipping, Muon, Adam and the averaged weights. What
changes from step to step (its number, rates, patches) is read from tensors on the device, and
losses stay there until they are asked for. The numbers are those of the eager step.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from lightir_core.errors import TrainingError, first_line
from lightir_core.learning import many
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.step import StepLoss

LaunchMode = Literal["eager", "compiled", "graphed"]

WINDOW = 64
"""Steps whose losses are read together on a GPU: reading waits for all that was launched."""

BLOCK_BYTES = 2**25
"""Of patches that are made together for a graph."""

WARM_STEPS = 2
"""Eager steps before a capture: libraries are loaded, moments made."""

_CAPTURE = threading.Lock()


@dataclass(frozen=True)
class Learner:
    """All that a step changes, and the loss that it learns from."""

    network: nn.Module
    averaged: nn.Module | None
    optimiser: Optimiser
    loss: StepLoss

    def learn(self, step: int) -> Tensor:
        """Take a step; return its distance to the truth, on the device."""
        lq, gt = self.loss.batch(step)
        error = self.backward(lq, gt, self.loss.teaching(step))
        self.optimiser.step(step)
        self.average(self.lag(step))
        return error

    def backward(self, lq: Tensor, gt: Tensor, teaching: float | Tensor) -> Tensor:
        """Compute the gradients of a step; return its distance to the truth."""
        loss, error = self.loss.loss(self.network, lq, gt, teaching)
        loss.backward()
        return error

    def lag(self, step: int) -> float:
        """Return how far the averaged weights move towards the current ones after a step."""
        return 1 - min(self.loss.recipe.ema, (1 + step) / (10 + step))

    @torch.no_grad()
    def average(self, lag: float | Tensor) -> None:
        """Move the averaged weights a little towards the current ones; copy the buffers."""
        if self.averaged is None:
            return
        means, now = list(self.averaged.parameters()), list(self.network.parameters())
        if isinstance(lag, Tensor):
            moves = many.subtracted(now, means)
            many.multiply(moves, lag)
            many.add(means, moves)
        else:
            many.approach(means, now, lag)
        for mean, buffer in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
            mean.copy_(buffer)


class Steps(Protocol):
    """Whoever takes the steps of a training."""

    def take(self, step: int) -> None:
        """Take a step; its loss can be read later."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether losses should be read before the next step."""
        ...

    def read(self) -> list[tuple[int, float]]:
        """Return step and loss of each step that was not read yet, in their order."""
        ...


class EagerSteps:
    """Steps whose kernels are launched one by one."""

    def __init__(self, learner: Learner) -> None:
        """Take the steps of `learner`."""
        self._learner = learner
        self._window = WINDOW if learner.loss.device.type == "cuda" else 1
        self._unread: list[tuple[int, Tensor]] = []

    def take(self, step: int) -> None:
        """Take a step; its loss can be read later."""
        self._unread.append((step, self._learner.learn(step)))

    @property
    def is_full(self) -> bool:
        """Whether losses should be read before the next step; on a CPU each is there at once."""
        return len(self._unread) >= self._window

    def read(self) -> list[tuple[int, float]]:
        """Return step and loss of each step that was not read yet, in their order."""
        steps, errors = [step for step, _ in self._unread], [error for _, error in self._unread]
        self._unread.clear()
        return list(zip(steps, torch.stack(errors).tolist(), strict=True)) if steps else []


class Blocks(Protocol):
    """The patches of many steps at once, on a device."""

    def block(self, seed: int, steps: range, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return lq (S, B, C, p, p) and gt (S, B, C, p s, p s) of S steps, in [0, 1]."""
        ...


class GraphedSteps:
    """Steps of a GPU that are one CUDA graph each, on the stream that is current.

    The first steps are taken eagerly, and so are all where the capture fails.

    Attributes:
        note: why there is no graph, or None.
    """

    def __init__(
        self,
        learner: Learner,
        patches: Blocks,
        steps: range,
        capture: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
    ) -> None:
        """Take `steps` of `learner`, one after the other.

        Args:
            learner: whose optimiser was made for a graph.
            patches: on its device.
            steps: that are taken; no other can be.
            capture: makes of a step what repeats it; None is `capture_graph`.
        """
        self._learner, self._patches = learner, patches
        self._capture = capture or capture_graph
        self._eager = EagerSteps(learner)
        self._first, self._last, self._warm = steps.start, steps.stop, steps.start + WARM_STEPS
        loss = learner.loss
        self._device = loss.device
        pixels = loss.recipe.pixels
        block = min(WINDOW, BLOCK_BYTES // (64 * pixels))  # about 16 numbers a pixel
        self._block_steps = 1 << max(0, block.bit_length() - 1)
        self._block: tuple[Tensor, Tensor] | None = None
        self._block_number = self._next = -1
        self._number = torch.zeros(1, dtype=torch.int64, device=self._device)
        self._errors = torch.zeros(WINDOW, device=self._device)
        table = [
            [*learner.optimiser.rates_at(step), learner.lag(step), loss.teaching(step)]
            for step in steps
        ]
        self._table = torch.tensor(table, device=self._device)
        self._replay: Callable[[], None] | None = None
        self._teaches = False
        self._unread: list[int] = []
        self._read: list[tuple[int, float]] = []
        self.note: str | None = None

    def take(self, step: int) -> None:
        """Take a step; its loss can be read later."""
        if self.note is not None or step < self._warm:
            self._eager.take(step)
            return
        if self._block_number != step // self._block_steps:
            self._fill(step)
        if self._next != step:  # some were left out: two losses might have one number
            self._read += self.read()
            self._number.fill_(step)
        self._next = step + 1
        teaches = self._learner.loss.teaching(step) > 0
        if self._replay is None or teaches != self._teaches:
            self._teaches = teaches
            self._number.fill_(step)
            self._replay = self._captured()
        if self._replay is None:
            self._eager.take(step)
            return
        self._replay()
        self._unread.append(step)

    @property
    def is_full(self) -> bool:
        """Whether losses should be read before the next step."""
        # in the middle of a block, so that the next one is made while steps are being computed
        middle = bool(self._unread) and self._unread[-1] % WINDOW == WINDOW // 2
        return self._eager.is_full or middle or len(self._unread) >= WINDOW

    def read(self) -> list[tuple[int, float]]:
        """Return step and loss of each step that was not read yet, in their order."""
        read, self._read = self._read + self._eager.read(), []
        if self._unread:
            errors = self._errors.tolist()
            read += [(step, errors[step % WINDOW]) for step in self._unread]
            self._unread.clear()
        return read

    def _fill(self, step: int) -> None:
        """Bring in the patches of the block that a step is of."""
        loss, first = self._learner.loss, step - step % self._block_steps
        self._block_number = step // self._block_steps
        steps = range(first, first + self._block_steps)
        recipe = loss.recipe
        made = self._patches.block(loss.seed, steps, recipe.batch, recipe.patch_px)
        if self._block is None:
            self._block = made
        else:
            for held, new in zip(self._block, made, strict=True):
                held.copy_(new)

    def _captured(self) -> Callable[[], None] | None:
        """Return what takes the next step, whose number is counted up by itself."""
        try:
            return self._capture(self._body)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.note = f"trained without a CUDA graph, which fails here: {first_line(error)}"
            for parameter in self._learner.network.parameters():
                parameter.grad = None
            return None

    def _body(self) -> None:
        assert self._block is not None
        learner = self._learner
        row = self._table.index_select(0, self._number - self._first)[0]
        at = self._number % self._block_steps
        lq, gt = (patches.index_select(0, at)[0] for patches in self._block)
        error = learner.backward(lq, gt, row[-1] if self._teaches else 0.0)
        learner.optimiser.follow(row[:-2])
        learner.average(row[-2])
        self._errors.index_copy_(0, self._number % WINDOW, error.reshape(1))
        self._number += 1


def capture_graph(work: Callable[[], None]) -> Callable[[], None]:
    """Return what does `work` again and again, captured as a graph on the current stream.

    Other threads may go on working on streams of their own.

    Raises:
        RuntimeError: it does something that no graph can hold.
    """
    graph = torch.cuda.CUDAGraph()
    with _CAPTURE, _without_cast_cache():
        gc.collect()  # what is freed in between must not be of a graph that is being captured
        torch.cuda.current_stream().synchronize()
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            work()
        finally:
            graph.capture_end()
    return graph.replay


@contextmanager
def _without_cast_cache() -> Iterator[None]:
    """Autocast casts weights anew at every use: a graph would keep those of when it was made."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def is_graphed(launch_mode: LaunchMode, device: torch.device) -> bool:
    """Return whether steps are captured: on a GPU unless they are to be eager.

    Raises:
        TrainingError: a graph where there is no GPU.
    """
    if device.type == "cuda":
        return launch_mode != "eager"
    if launch_mode == "graphed":
        raise TrainingError(f"a graphed step needs a CUDA GPU, not {device}; use eager")
    return False


@contextmanager
def separate_stream(device: torch.device, *, graphed: bool) -> Iterator[None]:
    """Work on a stream of one's own where steps are captured: others' work goes on beside it."""
    if not graphed:
        yield
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        stream.synchronize()
