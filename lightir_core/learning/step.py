"""The loss of a training step: patches, the truth, perhaps a teacher.

Distillation: a network learns from the truth and from a teacher.

    loss = (1 − w) · |y − truth| + w · |y − teacher| + f · Σ over stages ‖A − A_teacher‖

w is `weight`, f is `features`; both fall in a straight line and are 0 after the share `until` of
the steps: taught to the end, a student is held back by a teacher that it would outgrow. A is a
stage's output as an attention map: the mean square over its channels, of unit length over the
pixels (Zagoruyko and Komodakis, ICLR 2017). It does not depend on the number of channels, so a
network may be narrower than its teacher.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.learning.curve import FIRST
from lightir_core.learning.recipe import Recipe


class Batches(Protocol):
    """Where patches come from; `lightir_core.data.datasets.TrainingSet` is one."""

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return `(lq, gt)` in [0, 1], determined by `seed` and `step` alone."""
        ...


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

    def share(self, progress: float) -> float:
        """Return how much it still teaches after this share of the steps, from 1 down to 0."""
        return max(0.0, 1 - progress / self.until)


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
        compiled: whether the network is computed by what `torch.compile` makes of it.
    """

    data: Batches
    recipe: Recipe
    seed: int
    device: torch.device
    teacher: Teacher | None
    penalty: Penalty | None
    half: bool | None
    compiled: bool = False
    _forward: Callable[[Tensor], Tensor] | None = field(default=None, init=False)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the patches of a step and their truth, on the device."""
        recipe = self.recipe
        lq, gt = self.data.batch(self.seed, step, recipe.batch, recipe.patch_px)
        return lq.to(self.device), gt.to(self.device)

    def teaching(self, step: int) -> float:
        """Return how much the teacher still teaches at a step; 0 without one."""
        return self.teacher.share(step / self.recipe.steps) if self.teacher else 0.0

    def loss(
        self, network: nn.Module, lq: Tensor, gt: Tensor, teaching: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what to learn from, and the part of it that is the distance to the truth.

        The teacher's part changes its meaning from step to step, so it tells nothing of progress.

        Args:
            network: in training mode.
            lq: patches, (B, C, p, p).
            gt: their truth.
            teaching: what `teaching` gave for the step; a tensor is taken for more than 0.
        """
        recipe, teacher = self.recipe, self.teacher
        if isinstance(teaching, float) and not teaching:
            teacher = None
        features = teacher is not None and teacher.features > 0
        forward = self._prepared(network)
        with precision(self.device, self.half), stage_outputs(network, features) as stages:
            output = forward(_laid_out(lq)).float()
        loss = error = distance(output, gt, recipe)
        if teacher is not None:
            target, their_stages = teacher_outputs(teacher, lq)
            weight = teaching * teacher.weight
            loss = (1 - weight) * loss + weight * distance(output, target, recipe)
            if features:
                similar = feature_distance(stages, their_stages)
                loss = loss + teaching * teacher.features * similar
        return (loss if self.penalty is None else loss + self.penalty(network)), error.detach()

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

    def _prepared(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return the network, or what computes it; whose hooks are to be called is not compiled."""
        if not self.compiled or self.teacher is not None:
            return network
        if self._forward is None:
            torch.compiler.reset()  # else the ninth network of a process is left eager, silently
            self._forward = torch.compile(network)
        return self._forward


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
