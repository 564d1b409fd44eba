"""Peak memory of a training step and of a forward pass, put together from the parts.

What the frame and the parts hold is traced. What adds up here is the maps that they exchange: how
long each map, and on the way back its gradient, is held by a skip, an anchor or a reference.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from budgets.flow import Step, trunk_steps
from budgets.frame import FrameMemory, frame_memory
from budgets.imagine import FLOAT, Setting
from budgets.parts import feature_size
from budgets.profile import PartMemory, part_memory
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
    """Peak bytes of one training step.

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
    setting = Setting(batch, training=True, half=half, device=device)
    frame, trunk = _profile(architecture, Size(patch_px, patch_px), setting)
    parameters, buffers = trunk.weights()
    held = (frame.parameters + parameters) * (1 + ORIGIN + state_copies)
    held += (frame.buffers + buffers) * (1 + ORIGIN)
    kept = trunk.kept()
    step = max(
        frame.before,
        frame.at_start + _forward_peak(trunk),
        frame.finish + kept - trunk.kept_input() + trunk.passing_casts(),
        frame.turn + kept,
        frame.at_return + _Backward(trunk).peak(frame.holds_gradient),
        frame.after + parameters,
    )
    return held + frame.images + step


def weights_memory(params: int, state_copies: int = 2) -> int:
    """Bytes that training needs for the weights alone: they, their gradients, the optimiser."""
    return FLOAT * params * (2 + ORIGIN + state_copies)


def inference_memory(
    architecture: Architecture, size: Size, *, half: bool = False, device: str = "cpu"
) -> int:
    """Peak bytes of one forward pass of one image for an output of `size`; see `training_memory`.

    Raises:
        BudgetError: the device is unknown or not here.
    """
    scale = architecture.scale
    image = Size(-(-size.height // scale), -(-size.width // scale))
    frame, trunk = _profile(architecture, image, Setting(half=half, device=device))
    held = frame.parameters + frame.buffers + sum(trunk.weights())
    finish = frame.finish + trunk.passing_casts()
    peak = max(frame.before, frame.at_start + _forward_peak(trunk), finish)
    return held + frame.images + peak


@dataclass(frozen=True)
class _Trunk:
    """Steps with their memory, None for sums, and the bytes of each map."""

    steps: tuple[Step, ...]
    memories: tuple[PartMemory | None, ...]
    map_bytes: tuple[int, ...]

    def weights(self) -> tuple[int, int]:
        """Bytes of parameters and buffers; shared ones once."""
        owners = self.owners().values()
        return sum(memory.parameters for memory in owners), sum(m.buffers for m in owners)

    def owners(self) -> dict[tuple[object, ...], PartMemory]:
        """One memory for each set of weights."""
        pairs = zip(self.steps, self.memories, strict=True)
        return {step.weights: memory for step, memory in pairs if memory is not None}

    def passing_casts(self) -> int:
        """Bytes of weights in half precision that go when the forward pass is over."""
        return sum(memory.casts - memory.kept_casts for memory in self.owners().values())

    def kept_maps(self, index: int) -> list[int]:
        """Numbers of the maps at its borders that a step keeps for the gradient."""
        step, memory = self.steps[index], self.memories[index]
        if memory is None:
            return []
        keeps = (memory.keeps_input, *[memory.keeps_references] * (len(step.inputs) - 1))
        kept = [number for number, keep in zip(step.inputs, keeps, strict=True) if keep]
        return [*kept, index + 1] if memory.keeps_output else kept

    def kept_input(self) -> int:
        """Bytes of the trunk's input if it is kept for the gradient, else 0."""
        kept = any(0 in self.kept_maps(index) for index in range(len(self.steps)))
        return self.map_bytes[0] if kept else 0

    def kept(self) -> int:
        """Bytes kept for the gradient when the trunk has run."""
        maps = {number for index in range(len(self.steps)) for number in self.kept_maps(index)}
        inner = sum(memory.kept for memory in self.memories if memory is not None)
        inner += sum(memory.kept_casts for memory in self.owners().values())
        return inner + sum(self.map_bytes[number] for number in maps)


def _profile(
    architecture: Architecture, image: Size, setting: Setting
) -> tuple[FrameMemory, _Trunk]:
    """The frame and the trunk; each needs the other's type of numbers at the border."""
    frame = frame_memory(architecture, image, setting, FLOAT)
    patch = architecture.stem.patch_size
    size = feature_size(1, patch, architecture.window_multiple // patch, image)
    cells = setting.batch * architecture.width * size.height * size.width
    steps = trunk_steps(architecture)
    memories: list[PartMemory | None] = []
    itemsizes = [frame.itemsize]
    for step in steps:
        inputs = tuple(itemsizes[number] for number in step.inputs)
        memory = None if step.part is None else part_memory(step.part, size, setting, inputs)
        memories.append(memory)
        itemsizes.append(max(inputs) if memory is None else memory.itemsize)
    if itemsizes[-1] != FLOAT:
        frame = frame_memory(architecture, image, setting, itemsizes[-1])
    map_bytes = tuple(cells * itemsize for itemsize in itemsizes)
    return frame, _Trunk(steps, tuple(memories), map_bytes)


def _forward_peak(trunk: _Trunk) -> int:
    """The most that the trunk's forward pass holds, its input left out."""
    kept, peak = 0, 0
    kept_maps: set[int] = set()
    cast: set[tuple[object, ...]] = set()
    for index, (step, memory) in enumerate(zip(trunk.steps, trunk.memories, strict=True)):
        alive = kept_maps.union(step.inputs, step.held) - {0}
        held = kept + sum(trunk.map_bytes[number] for number in alive)
        if memory is None:
            peak = max(peak, held + trunk.map_bytes[index + 1])
        else:
            again = memory.casts if step.weights in cast else 0
            peak = max(peak, held + memory.forward_peak - again)
            kept += memory.kept + memory.casts - again
            cast.add(step.weights)
            kept_maps.update(trunk.kept_maps(index))
    return peak


class _Backward:
    """The trunk's backward pass: what is still kept, and which gradients wait for their map.

    A sum hands the same gradient to both its inputs, so several maps may wait with one buffer.
    """

    def __init__(self, trunk: _Trunk) -> None:
        self.trunk = trunk
        self.kept = trunk.kept()
        self.keepers = Counter(
            number for index in range(len(trunk.steps)) for number in trunk.kept_maps(index)
        )
        self.buffer_of: dict[int, int] = {}
        self.waiting: Counter[int] = Counter()
        self.bytes_of: list[int] = []
        self.weight_gradients: dict[tuple[object, ...], int] = {}
        self.users = Counter(step.weights for step in trunk.steps)

    def peak(self, other_holders: int) -> int:
        """The most that it holds, weight gradients of the trunk included.

        Args:
            other_holders: how many others hold the gradient that comes in.
        """
        last = len(self.trunk.steps)
        first = self._new(last)
        self._hand(last, first)
        self.waiting[first] += other_holders
        return max(self._undo(index) for index in reversed(range(last)))

    def _undo(self, index: int) -> int:
        """Run one step backwards; the most that is held meanwhile."""
        step, memory = self.trunk.steps[index], self.trunk.memories[index]
        buffer = self.buffer_of.pop(index + 1)
        if memory is None:
            self.waiting[buffer] -= 1
            for number in step.inputs:
                same = self.trunk.map_bytes[number] == self.bytes_of[buffer]
                self._hand(number, buffer if same else self._new(number))
            return 0
        self.kept -= memory.kept + memory.kept_casts
        shared = self.waiting[buffer] > 1
        own = memory.other_backward_peak if shared else memory.backward_peak
        self.waiting[buffer] -= 1
        gradients = sum(self.bytes_of[b] for b, count in self.waiting.items() if count)
        held = self.kept + gradients + sum(self.weight_gradients.values()) + own
        self._release(index)
        self._end_weights(step, memory)
        for number in step.inputs:
            self._hand(number, self._new(number))
        return held

    def _end_weights(self, step: Step, memory: PartMemory) -> None:
        """A pass over the weights is done; others may be to come."""
        self.users[step.weights] -= 1
        self.weight_gradients[step.weights] = memory.parameters
        if self.users[step.weights]:
            # they need the same half copies of the weights, at which gradients gather in half
            self.weight_gradients[step.weights] -= memory.casts
            self.kept += memory.kept_casts

    def _release(self, index: int) -> None:
        """Let go of the maps that the step kept."""
        for number in self.trunk.kept_maps(index):
            self.keepers[number] -= 1
            if not self.keepers[number]:
                self.kept -= self.trunk.map_bytes[number]

    def _new(self, number: int) -> int:
        self.bytes_of.append(self.trunk.map_bytes[number])
        return len(self.bytes_of) - 1

    def _hand(self, number: int, buffer: int) -> None:
        """Add a gradient to what waits for a map: in place where nobody else reads that."""
        waiting = self.buffer_of.get(number)
        if waiting is None:
            self.buffer_of[number] = buffer
            self.waiting[buffer] += 1
        elif self.waiting[waiting] > 1:
            self.waiting[waiting] -= 1
            self.buffer_of[number] = self._new(number)
            self.waiting[self.buffer_of[number]] += 1
