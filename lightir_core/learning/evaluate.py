"""Score a network on validation pairs by its task's protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightir_core.data.datasets import Pair
from lightir_core.data.metrics import METRICS
from lightir_core.data.tasks import Task
from lightir_core.learning.tiling import restore_turned

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Scores per image, in the order of the pairs."""

    names: tuple[str, ...]
    images: tuple[Scores, ...]

    @property
    def mean(self) -> dict[str, float]:
        """Return mean over the images, each image counting the same."""
        return {
            metric: sum(scores[metric] for scores in self.images) / len(self.images)
            for metric in self.images[0]
        }


def evaluate(
    network: nn.Module,
    pairs: Sequence[Pair],
    task: Task,
    device: torch.device,
    metrics: Sequence[str],
    *,
    fast: bool = False,
    ways: Sequence[int] = (0,),
) -> Evaluation:
    """Restore every pair's low-quality image and compare it with the truth.

    Args:
        network: in eval mode, on `device`.
        pairs: what to score on; at least one.
        task: decides the scale and the border that is left out.
        device: where the network is.
        metrics: keys of `METRICS`.
        fast: bfloat16 where the device has it; good enough to rank.
        ways: as in `restore_turned`; all eight are the self-ensemble.
    """
    scored = []
    for pair in pairs:
        lq = unit(pair.lq).to(device)
        output = restore_turned(network, lq, scale=task.scale, ways=ways, fast=fast)
        scored.append(score(output.cpu(), pair, task, metrics))
    return Evaluation(tuple(pair.name for pair in pairs), tuple(scored))


def score(output: Tensor, pair: Pair, task: Task, metrics: Sequence[str]) -> dict[str, float]:
    """Scores of one restored image (1, C, H, W) against the pair's truth; NaN if it holds one."""
    if output.isnan().any():  # rounded to eight bits it would pass for black
        return dict.fromkeys(metrics, math.nan)
    truth = pair.gt.unsqueeze(0)
    return {name: METRICS[name](output, truth, border_px=task.border_px) for name in metrics}


def unit(image: Tensor) -> Tensor:
    """uint8 (C, H, W) as float32 (1, C, H, W) in [0, 1]."""
    return image.unsqueeze(0).float() / 255
