"""How the parts of a trunk are joined: which maps each one reads, and the sums between them."""

from __future__ import annotations

from dataclasses import dataclass

from budgets.parts import Part
from lightir_core.architecture import Architecture, StageConfig


@dataclass(frozen=True)
class Step:
    """One thing that the trunk does; step n makes map n + 1, and map 0 is the trunk's input.

    Attributes:
        part: what runs; None for the sum of two maps.
        inputs: numbers of the maps that it reads.
        held: numbers of the maps that are held for later while it runs.
        weights: equal for steps that use the same weights.
    """

    part: Part | None
    inputs: tuple[int, ...]
    held: tuple[int, ...]
    weights: tuple[object, ...] = ()


class _Flow:
    """Steps in the making."""

    def __init__(self, width: int) -> None:
        self.steps: list[Step] = []
        self.width = width
        self.held: list[int] = []

    def add(self, left: int, right: int) -> int:
        self.steps.append(Step(None, (left, right), tuple(self.held)))
        return len(self.steps)

    def run(self, part: Part, inputs: tuple[int, ...], *weights: object) -> int:
        self.steps.append(Step(part, inputs, tuple(self.held), weights))
        return len(self.steps)


def trunk_steps(architecture: Architecture) -> tuple[Step, ...]:
    """The stages and their cross-layer slots, as `lightir_core.network` runs them."""
    flow = _Flow(architecture.width)
    referenced = any(stage.cross_layer is not None for stage in architecture.stages)
    x, outputs = 0, [0]
    for number, stage in enumerate(architecture.stages):
        flow.held = [*(outputs if referenced else ()), x]
        x = _run_stage(flow, stage, x, number // architecture.stage_sharing)
        outputs.append(x)
        flow.held = outputs
        if stage.cross_layer is not None:
            part = Part("cross_layer", stage.cross_layer, flow.width)
            references = outputs[-1 - stage.cross_layer.references : -1]
            x = flow.add(x, flow.run(part, (x, *references), "slot", number))
    return tuple(flow.steps)


def _run_stage(flow: _Flow, stage: StageConfig, entry: int, owner: int) -> int:
    """As `lightir_core.stage` runs it; `owner` numbers the set of weights."""
    x, held = entry, flow.held
    for number in range(stage.recursions):
        flow.held = [*held, x]
        for index, block in enumerate(stage.blocks):
            copy = 0 if stage.tied else number
            x = flow.run(Part("block", block, flow.width), (x,), owner, copy, index)
        last = number == stage.recursions - 1
        if stage.anchor == "every" or (stage.anchor == "last" and last):
            x = flow.add(x, entry)
    flow.held = held
    if stage.closing != "none":
        closed = flow.run(Part("closing", stage.closing, flow.width), (x,), owner, "closing")
        x = flow.add(x, closed) if stage.skip == "output" else closed
    return flow.add(x, entry) if stage.skip == "input" else x
