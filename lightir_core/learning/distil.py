"""Distillation: a network learns from the truth and from a teacher.

    loss = (1 − w) · |y − truth| + w · |y − teacher| + f · Σ over stages ‖A − A_teacher‖

w is `weight`, f is `features`; both fall in a straight line and are 0 after the share `until` of
the steps: taught to the end, a student is held back by a teacher that it would outgrow. A is a
stage's output as an attention map: the mean square over its channels, of unit length over the
pixels (Zagoruyko and Komodakis, ICLR 2017). It does not depend on the number of channels, so a
network may be narrower than its teacher.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
        """The teacher after this share of the steps; None when it has nothing left to teach."""
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
