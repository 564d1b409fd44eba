"""The loss of a training step: patches, the truth, perhaps a teacher; on a GPU as one graph.

Distillation: a network learns from the truth and from a teacher.

    loss = (1 − w) · |y − truth| + w · |y − teacher| + f · Σ over stages ‖A − A_teacher‖

w is `weight`, f is `features`; both fall in a straight line and are 0 after the share `until` of
the steps: taught to the end, a student is held back by a teacher that it would outgrow. A is a
stage's output as an attention map: the mean square over its channels, of unit length over the
pixels (Zagoruyko and Komodakis, ICLR 2017). It does not depend on the number of channels, so a
network may be narrower than its teacher.

A network of some hundred thousand parameters computes a step in less time than a processor needs to
launch its kernels on a GPU, one by one. A CUDA graph launches forward and backward pass at once; a
compiled network has fewer kernels. The numbers are those of the eager network, but for rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.errors import TrainingError
from lightir_core.learning.curve import FIRST
from lightir_core.learning.recipe import Recipe

LaunchMode = Literal["eager", "compiled", "graphed"]

Context = AbstractContextManager[object]


def prepare_forward(
    network: nn.Module, launch_mode: LaunchMode, lq: Tensor, context: Context
) -> Callable[[Tensor], Tensor]:
    """Return what computes `network` in a training step.

    The network itself stays as it is, so that it can be evaluated, copied and saved in between.

    Args:
        network: in training mode, on its device.
        launch_mode: "eager" is the network itself; "compiled" goes through `torch.compile`;
            "graphed" is captured in CUDA graphs.
        lq: patches of the shape, layout and device that all steps have.
        context: the precision that steps have.

    Raises:
        TrainingError: a graph where there is no GPU.
    """
    if launch_mode == "eager":
        return network
    if launch_mode == "compiled":
        torch.compiler.reset()  # else the ninth network of a process is left eager, silently
        return torch.compile(network)
    if lq.device.type != "cuda":
        raise TrainingError(
            f"a graphed step needs a CUDA GPU, not the device {lq.device}; use eager"
        )
    return _graphed(network, lq, context)


class _Shell(nn.Module):
    """Holds a network that others evaluate in between: the graph is of the shell alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


def _graphed(network: nn.Module, lq: Tensor, context: Context) -> Callable[[Tensor], Tensor]:
    before = [buffer.clone() for buffer in network.buffers()]
    with context, _without_cast_cache():
        graphed = torch.cuda.make_graphed_callables(_Shell(network), (lq,), allow_unused_input=True)
    for buffer, old in zip(network.buffers(), before, strict=True):
        buffer.copy_(old)  # capturing ran the network: batch norms have counted that
    return cast(Callable[[Tensor], Tensor], graphed)


@contextmanager
def _without_cast_cache() -> Iterator[None]:
    """Autocast casts weights anew at every use: a graph would keep those of when it was made."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A network to imitate.

    Attributes:
        network: in eval mode, where the student is.
        weight: w, of its output.
        features: f, of its stages' attention maps; 0 leaves them out.
        until: share of the steps after which it teaches no more; infinity is for ever.
    """

    network: nn.Module
    weight: float = 0.5
    features: float = 0.0
    until: float = 0.5

    def at(self, progress: float) -> Teacher | None:
        """Return the teacher after this share of the steps.

        None when it has nothing left to teach.
        """
        share = 1 - progress / self.until
        if share <= 0:
            return None
        return replace(self, weight=share * self.weight, features=share * self.features)


@contextmanager
def stage_outputs(network: nn.Module, enabled: bool) -> Iterator[list[Tensor]]:
    """Yield a list that fills with the outputs of the network's stages, in the order they run."""
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        outputs.append(output)

    stages = network.get_submodule("stages").children() if enabled else ()
    handles = [stage.register_forward_hook(keep) for stage in stages]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def teacher_outputs(teacher: Teacher, lq: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the teacher's output and, if they count, its stages' outputs."""
    with torch.no_grad(), stage_outputs(teacher.network, teacher.features > 0) as stages:
        return teacher.network(lq).float(), stages


def feature_distance(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Σ over stages of the distance between attention maps, mean over the images.

    Args:
        student: (B, C, H, W) for each stage.
        teacher: (B, C', H, W) for each stage.
    """
    pairs = zip(student, teacher, strict=True)
    distances = [(_attention(one) - _attention(other)).norm(dim=1).mean() for one, other in pairs]
    return torch.stack(distances).sum()


def _attention(x: Tensor) -> Tensor:
    return F.normalize(x.float().square().mean(dim=1).flatten(1), dim=1)


class Batches(Protocol):
    """Where patches come from; `lightir_core.data.datasets.TrainingSet` is one."""

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return `(lq, gt)` in [0, 1], determined by `seed` and `step` alone."""
        ...


PREFETCHED_STEPS = 64
"""Steps whose patches travel together: some megabytes in place of as many round trips."""

Penalty = Callable[[nn.Module], Tensor]
"""Added to the loss: of the network's weights alone, such as one that makes channels fade."""


@dataclass(kw_only=True)
class StepLoss:
    """Every step's loss.

    Attributes:
        data: source of patches.
        recipe: batch, patches and kind of loss.
        seed: decides the patches.
        device: where the network is.
        teacher: to be followed too, or None.
        penalty: added to the loss, or None.
        half: whether to use bfloat16 autocast; None where that is faster.
        launch_mode: how the network's kernels are launched; beside a teacher, whose hooks a graph
            would not call, always one by one.
    """

    data: Batches
    recipe: Recipe
    seed: int
    device: torch.device
    teacher: Teacher | None
    penalty: Penalty | None
    half: bool | None
    launch_mode: LaunchMode
    _forward: Callable[[Tensor], Tensor] | None = field(default=None, init=False)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the patches of a step and their truth, on the device."""
        recipe = self.recipe
        lq, gt = self.data.batch(self.seed, step, recipe.batch, recipe.patch_px)
        return lq.to(self.device), gt.to(self.device)

    def loss(self, step: int, network: nn.Module, lq: Tensor, gt: Tensor) -> tuple[Tensor, float]:
        """Return what to learn from, and the part of it that is the distance to the truth.

        The teacher's part changes its meaning from step to step, so it tells nothing of progress.
        """
        recipe = self.recipe
        teacher = None if self.teacher is None else self.teacher.at(step / recipe.steps)
        features = teacher is not None and teacher.features > 0
        forward = self._prepared(network, lq)
        with precision(self.device, self.half), stage_outputs(network, features) as stages:
            output = forward(_laid_out(lq)).float()
        loss = distance(output, gt, recipe)
        error = loss.item()
        if teacher is not None:
            target, their_stages = teacher_outputs(teacher, lq)
            loss = (1 - teacher.weight) * loss + teacher.weight * distance(output, target, recipe)
            if features:
                loss = loss + teacher.features * feature_distance(stages, their_stages)
        return (loss if self.penalty is None else loss + self.penalty(network)), error

    @torch.no_grad()
    def first_errors(self, network: nn.Module) -> list[float]:
        """Return a resting network's errors over the batches that a training begins with."""
        network.train()
        errors: list[float] = []
        for step in range(FIRST):
            lq, gt = self.batch(step)
            with precision(self.device, self.half):
                output = network(_laid_out(lq)).float()
            errors.append(distance(output, gt, self.recipe).item())
        return errors

    def _prepared(self, network: nn.Module, lq: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the network, or what computes it, made at the first step, whose shape all have."""
        if self.launch_mode == "eager" or self.teacher is not None:
            return network
        if self._forward is None:
            context = precision(self.device, self.half)
            self._forward = prepare_forward(network, self.launch_mode, _laid_out(lq), context)
        return self._forward


class Prefetch:
    """Carries patches to a device many steps at a time."""

    def __init__(self, data: Batches, device: torch.device, steps: int = PREFETCHED_STEPS) -> None:
        """Carry the patches of `data` to `device`, those of so many steps together."""
        self._data, self._device, self._steps = data, device, steps
        self._block: tuple[tuple[int, ...], Tensor, Tensor] | None = None

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return `(lq, gt)` of a step, on the device."""
        number, index = divmod(step, self._steps)
        wanted = (seed, number, batch, patch_px)
        if self._block is None or self._block[0] != wanted:
            first = number * self._steps
            made = [
                self._data.batch(seed, step_number, batch, patch_px)
                for step_number in range(first, first + self._steps)
            ]
            lq, gt = (torch.stack(several).to(self._device) for several in zip(*made, strict=True))
            self._block = wanted, lq, gt
        _, lq, gt = self._block
        return lq[index], gt[index]


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether light networks train faster under bfloat16 autocast than without.

    On a CPU, even with instructions for it, the casts of many small tensors cost networks of 90,000
    parameters more than the products save, and break about even at 400,000
    (`python -m benchmarks step`).
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def precision(
    device: torch.device, half: bool | None = None
) -> contextlib.AbstractContextManager[object]:
    """Return bfloat16 autocast if `half`, or where that is faster; else nothing."""
    if has_fast_bfloat16(device) if half is None else half:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _laid_out(lq: Tensor) -> Tensor:
    return lq.contiguous(memory_format=torch.channels_last)


def distance(output: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    """Return the loss that `recipe` asks for, between images of one shape."""
    difference = output - target
    if recipe.loss == "mse":
        return difference.square().mean()
    if recipe.loss == "charbonnier":
        return torch.sqrt(difference.square() + 1e-6).mean()
    return difference.abs().mean()
