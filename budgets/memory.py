"""Peak memory of a training step and of a forward pass, put together from the parts.

What the ends and each part of the trunk hold is traced. What adds up here is the maps that they
exchange: how long each map, and on the way back its gradient, is held by a skip, an anchor or a
reference.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from budgets.part_memory import (
    FLOAT,
    EndsMemory,
    MemorySetting,
    PartMemory,
    ends_memory,
    part_memory,
)
from budgets.parts import Step, feature_size, trunk_steps, without_trunk
from budgets.units import Size
from lightir_core.architecture import Architecture

ORIGIN = 1
"""Copies of the network as it was before its training, which tell whether that diverges."""


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
    parameters, buffers = (
        part + end
        for part, end in zip(trunk.weights(), (ends.parameters, ends.buffers), strict=True)
    )
    held = parameters * (1 + ORIGIN + state_copies) + buffers * (1 + ORIGIN)
    step = max(
        ends.peak + trunk.kept(),
        ends.at_return + _backward_peak(trunk),
        parameters,  # all gradients
    )
    return held + ends.images + step


def weights_memory(params: int, state_copies: int = 2) -> int:
    """Bytes that training needs for the weights alone: they, their gradients, the optimiser."""
    return FLOAT * params * (2 + ORIGIN + state_copies)


def inference_memory(
    architecture: Architecture, size: Size, *, half: bool = False, device: str = "cpu"
) -> int:
    """Return the peak bytes of one forward pass of one image for an output of `size`.

    Args:
        architecture: what runs.
        size: of the output.
        half: whether it runs under bfloat16 autocast.
        device: "cpu", or "cuda" where torch sees one.

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
        """One memory for each set of weights."""
        pairs = zip(self.steps, self.memories, strict=True)
        return list({step.weights: memory for step, memory in pairs if memory is not None}.values())

    def weights(self) -> tuple[int, int]:
        """Bytes of parameters and buffers; shared ones once."""
        owners = self.owners()
        return sum(memory.parameters for memory in owners), sum(m.buffers for m in owners)

    def kept_maps(self, index: int) -> list[int]:
        """Numbers of the maps at its borders that a step keeps for the gradient."""
        step, memory = self.steps[index], self.memories[index]
        if memory is None:
            return []
        keeps = (memory.keeps_input, *[memory.keeps_references] * (len(step.inputs) - 1))
        kept = [number for number, keep in zip(step.inputs, keeps, strict=True) if keep]
        return [*kept, index + 1] if memory.keeps_output else kept

    def kept(self) -> int:
        """Bytes kept for the gradient when the trunk has run."""
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
    """The most that the trunk's forward pass holds without a gradient, its input left out."""
    peak = 0
    for index, (step, memory) in enumerate(zip(trunk.steps, trunk.memories, strict=True)):
        held = sum(trunk.map_bytes[number] for number in {*step.inputs, *step.held} - {0})
        peak = max(peak, held + (trunk.map_bytes[index + 1] if memory is None else memory.peak))
    return peak


def _backward_peak(trunk: _Trunk) -> int:
    """The most that the trunk's backward pass holds, the gradient that comes in left out.

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
