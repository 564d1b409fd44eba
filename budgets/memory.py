"""Peak memory of a training step and of a forward pass, put together from the parts.

The ends and each part of the trunk run once on fake tensors, and what they hold is followed. What
adds up here is the maps that they exchange: how long each map, and on the way back its gradient, is
held by a skip, an anchor or a reference.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.graph import get_gradient_edge

from budgets.allocations import FLOAT, Allocations, MemorySetting, bytes_of
from budgets.budget import Size
from budgets.parts import (
    Part,
    Step,
    build_part,
    feature_size,
    part_inputs,
    trunk_steps,
    without_trunk,
)
from budgets.price import cost_cache
from lightir_core import network
from lightir_core.architecture import Architecture

ORIGIN = 1
"""Copies of the network as it was before its training, which tell whether that diverges."""

Record = TypeVar("Record", bound=Any)


def training_memory(
    architecture: Architecture,
    batch: int,
    patch_px: int,
    *,
    half: bool = False,
    device: str = "cpu",
    state_copies: int = 2,
) -> int:
    """Return the peak bytes of one training step.

    Args:
        architecture: what is trained.
        batch: patches in a step.
        patch_px: side of a low-quality patch.
        half: whether the forward pass runs under bfloat16 autocast.
        device: "cpu", or "cuda" where torch sees one.
        state_copies: numbers that the optimiser keeps for each parameter; two in Adam.

    Raises:
        BudgetError: the device is unknown or not here.
    """
    setting = MemorySetting(batch, training=True, half=half, device=device)
    ends, trunk = _trace(architecture, Size(patch_px, patch_px), setting)
    parameters, buffers = trunk.weights()
    parameters, buffers = parameters + ends.parameters, buffers + ends.buffers
    held = parameters * (1 + ORIGIN + state_copies) + buffers * (1 + ORIGIN)
    step = max(
        ends.peak + trunk.kept(),
        ends.at_return + _backward_peak(trunk),
        parameters,  # all gradients
    )
    return held + ends.images + step


def weights_memory(params: int, state_copies: int = 2) -> int:
    """Return the training bytes of the weights alone: they, their gradients, the optimiser."""
    return FLOAT * params * (2 + ORIGIN + state_copies)


def inference_memory(
    architecture: Architecture, size: Size, *, half: bool = False, device: str = "cpu"
) -> int:
    """Return the peak bytes of one forward pass of one image for an output of `size`.

    `half` is bfloat16 autocast, `device` "cpu", or "cuda" where torch sees one.

    Raises:
        BudgetError: the device is unknown or not here.
    """
    scale = architecture.scale
    image = Size(-(-size.height // scale), -(-size.width // scale))
    ends, trunk = _trace(architecture, image, MemorySetting(half=half, device=device))
    held = ends.parameters + ends.buffers + ends.images + sum(trunk.weights())
    return held + max(ends.peak, ends.at_start + _forward_peak(trunk))


@dataclass(frozen=True)
class _Trunk:
    """Steps with their memory, None for sums, and the bytes of each map."""

    steps: tuple[Step, ...]
    memories: tuple[PartMemory | None, ...]
    map_bytes: tuple[int, ...]

    def owners(self) -> list[PartMemory]:
        """Return one memory for each set of weights."""
        pairs = zip(self.steps, self.memories, strict=True)
        return list({step.weights: memory for step, memory in pairs if memory is not None}.values())

    def weights(self) -> tuple[int, int]:
        """Return bytes of parameters and buffers; shared ones once."""
        owners = self.owners()
        return sum(memory.parameters for memory in owners), sum(m.buffers for m in owners)

    def kept_maps(self, index: int) -> list[int]:
        """Return numbers of the maps at its borders that a step keeps for the gradient."""
        step, memory = self.steps[index], self.memories[index]
        if memory is None:
            return []
        keeps = (memory.keeps_input, *[memory.keeps_references] * (len(step.inputs) - 1))
        kept = [number for number, keep in zip(step.inputs, keeps, strict=True) if keep]
        return [*kept, index + 1] if memory.keeps_output else kept

    def kept(self) -> int:
        """Return bytes kept for the gradient when the trunk has run."""
        maps = {number for index in range(len(self.steps)) for number in self.kept_maps(index)}
        inner = sum(memory.kept for memory in self.memories if memory is not None)
        casts = sum(memory.casts for memory in self.owners())
        return inner + casts + sum(self.map_bytes[number] for number in maps)


def _trace(
    architecture: Architecture, image: Size, setting: MemorySetting
) -> tuple[EndsMemory, _Trunk]:
    """Trace the ends, and the parts of the trunk with the type of numbers that reaches each."""
    ends = ends_memory(without_trunk(architecture), image, setting)
    patch = architecture.stem.patch_size
    size = feature_size(1, patch, architecture.window_multiple // patch, image)
    cells = setting.batch * architecture.width * size.height * size.width
    steps = trunk_steps(architecture)
    memories: list[PartMemory | None] = []
    itemsizes = [ends.itemsize]
    for step in steps:
        inputs = tuple(itemsizes[number] for number in step.inputs)
        memory = None if step.part is None else part_memory(step.part, size, setting, inputs)
        memories.append(memory)
        itemsizes.append(max(inputs) if memory is None else memory.itemsize)
    return ends, _Trunk(steps, tuple(memories), tuple(cells * itemsize for itemsize in itemsizes))


def _forward_peak(trunk: _Trunk) -> int:
    """Return the most that the trunk's forward pass holds, its input left out, no gradient."""
    peak = 0
    for index, (step, memory) in enumerate(zip(trunk.steps, trunk.memories, strict=True)):
        held = sum(trunk.map_bytes[number] for number in {*step.inputs, *step.held} - {0})
        peak = max(peak, held + (trunk.map_bytes[index + 1] if memory is None else memory.peak))
    return peak


def _backward_peak(trunk: _Trunk) -> int:
    """Return the most that the trunk's backward pass holds, the gradient that comes in left out.

    Gradients wait in buffers for the map they belong to. A sum hands the same one to both its
    inputs, so several maps may wait with one buffer.
    """
    last = len(trunk.steps)
    kept, peak, gradients = trunk.kept(), 0, 0
    keepers = Counter(number for index in range(last) for number in trunk.kept_maps(index))
    users = Counter(step.weights for step in trunk.steps)
    buffers, sizes = {last: 0}, [0]
    for index in reversed(range(last)):
        step, memory = trunk.steps[index], trunk.memories[index]
        buffer = buffers.pop(index + 1)
        waiting = sum(sizes[number] for number in {buffer, *buffers.values()})
        if memory is not None:
            peak = max(peak, kept - memory.kept + gradients + waiting + memory.peak)
            kept -= memory.kept
            users[step.weights] -= 1
            if not users[step.weights]:
                kept -= memory.casts
                gradients += memory.parameters
            for number in trunk.kept_maps(index):
                keepers[number] -= 1
                kept -= 0 if keepers[number] else trunk.map_bytes[number]
        for number in step.inputs:
            if memory is None and number not in buffers:
                buffers[number] = buffer
            else:
                buffers[number] = len(sizes)
                sizes.append(trunk.map_bytes[number])
    return peak


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


@lru_cache(maxsize=2**16)
def part_memory(
    part: Part, size: Size, setting: MemorySetting, itemsizes: tuple[int, ...]
) -> PartMemory:
    """Return memory of a part, traced at the first question and then remembered.

    `size` is that of the feature map, `itemsizes` the bytes of an element of each input.
    """
    trace = partial(trace_part_memory, part, size, setting, itemsizes)
    return _remember(f"{part.key(size)} {setting} {itemsizes}", PartMemory, trace)


@lru_cache(maxsize=2**12)
def ends_memory(ends: Architecture, image: Size, setting: MemorySetting) -> EndsMemory:
    """Return memory of a network `without_trunk`, traced at the first question, then remembered."""
    trace = partial(_trace_ends, ends, image, setting)
    return _remember(f"{ends.id} {image} {setting}", EndsMemory, trace)


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
        types = [torch.float32 if itemsize == FLOAT else torch.bfloat16 for itemsize in itemsizes]
        inputs = [x.to(dtype) for x, dtype in zip(inputs, types, strict=True)]

        def call(maps: list[Tensor]) -> Tensor:
            return module(maps[0], maps[1:]) if part.kind == "cross_layer" else module(*maps)

        weights = [*module.parameters(), *module.buffers()]
        tracker = Allocations([*weights, *inputs])
        trace = _trace_training if setting.training else _trace_inference
        traced = trace(call, inputs, setting, tracker)
        return PartMemory(*_weight_bytes(module), *traced)


def _weight_bytes(module: nn.Module) -> tuple[int, int]:
    """Return the bytes of parameters and of buffers."""
    return sum(map(bytes_of, module.parameters())), sum(map(bytes_of, module.buffers()))


def _trace_inference(
    call: Callable[[list[Tensor]], Tensor],
    inputs: list[Tensor],
    setting: MemorySetting,
    tracker: Allocations,
) -> tuple[int, ...]:
    """Return what follows `parameters` and `buffers` in `PartMemory`."""
    with torch.no_grad(), tracker, setting.precision():
        out = call(inputs)
    return out.element_size(), 0, 0, 0, 0, 0, tracker.peak_bytes


def _trace_training(
    call: Callable[[list[Tensor]], Tensor],
    inputs: list[Tensor],
    setting: MemorySetting,
    tracker: Allocations,
) -> tuple[int, ...]:
    """Return what follows `parameters` and `buffers` in `PartMemory`."""
    # clones, because autograd refers to the leaves of its graph anyway
    maps = [x.requires_grad_().clone() for x in inputs]
    for number in range(len(maps)):  # no name may hold a map longer than the list does
        tracker.ignore(maps[number])
    borders = [weakref.ref(x.untyped_storage()) for x in maps]
    casts = 0
    with tracker, setting.precision():
        if setting.half:  # autocast copies weights at the first use and keeps the copies
            call(maps)
            casts = tracker.live_bytes
        out = call(maps)
        borders.append(weakref.ref(out.untyped_storage()))
        itemsize, out_bytes = out.element_size(), bytes_of(out)
    grad, edge = torch.empty_like(out), get_gradient_edge(out)
    tracker.ignore(grad)  # whoever adds parts up counts it
    # from here on only the graph holds what is kept for the gradient
    del out, maps
    keeps = [int(storage() is not None) for storage in borders]
    out_bytes *= keeps[-1]
    kept = tracker.live_bytes - out_bytes
    tracker.restart_peak()
    with tracker:
        torch.autograd.backward([edge], [grad])
    peak = tracker.peak_bytes - out_bytes
    return itemsize, kept - casts, casts, keeps[0], max(keeps[1:-1], default=0), keeps[-1], peak


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


def _trace_ends(ends: Architecture, image: Size, setting: MemorySetting) -> EndsMemory:
    """Run the network with a cut in place of its stages and follow what it allocates."""
    cut, scale = _Cut(), ends.scale

    def build() -> nn.Module:
        module = network.build(ends)
        module.stages = nn.ModuleList([cut])
        return module

    with setting.fake(build) as module:
        lq = torch.empty(setting.batch, ends.in_channels, image.height, image.width)
        shape = setting.batch, ends.out_channels, image.height * scale, image.width * scale
        gt = torch.empty(shape)
        cut.tracker = Allocations([*module.parameters(), *module.buffers(), lq, gt])
        with cut.tracker, torch.set_grad_enabled(setting.training):
            with setting.precision():
                out = module(lq.contiguous(memory_format=torch.channels_last))
            if setting.training:
                loss = (out.float() - gt).abs().mean()
                del out
                loss.backward()
    parameters, buffers = _weight_bytes(module)
    return EndsMemory(
        parameters=parameters,
        buffers=buffers,
        images=bytes_of(lq) + (bytes_of(gt) if setting.training else 0),
        itemsize=cut.itemsize,
        peak=cut.tracker.peak_bytes,
        at_start=cut.at_start,
        at_return=cut.at_return,
    )
