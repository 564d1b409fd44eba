"""Open a run's images, score a finished network on them and keep it as a model of the run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from budgets.latency import time_network
from lightir_core.checkpoints import save_model
from lightir_core.data import images, metrics
from lightir_core.data.datasets import Pair, to_pixels, to_tensor
from lightir_core.data.image_source import ImageSource, describe_images, whole_images
from lightir_core.data.tasks import Task
from lightir_core.learning.evaluate import Evaluation, restore, score, unit
from lightir_core.network import Network
from results.models import Crop, ImageScore, ModelResult, write_card, write_result

PICTURE_PX = 96
"""Side of the pictured crops, in pixels of the truth."""

PICTURES = 3
"""Validation images that are pictured."""


def keep_network(
    folder: Path, network: Network, source: ImageSource, result: ModelResult, device: torch.device
) -> ModelResult:
    """Score `network`, write it with what is known of it into `folder`, and return the latter.

    Args:
        folder: of the model.
        network: whose training is over.
        source: task and images.
        result: what is known already, scores, images, pictures and times left out.
        device: where it is scored and timed.
    """
    task = source.task
    network = network.to(device).eval()
    pairs = whole_images(source)
    outputs = [restore(network, unit(p.lq).to(device), scale=task.scale).cpu() for p in pairs]
    evaluation = _evaluation(outputs, pairs, task)
    plain = evaluate_baseline(task, pairs)
    save_model(folder, network)
    latency, where = time_network(network, device)
    result = replace(
        result,
        scores=evaluation.mean,
        baseline=plain.mean,
        images=tuple(
            ImageScore(name=name, scores=dict(mine), baseline=dict(theirs))
            for name, mine, theirs in zip(
                evaluation.names, evaluation.images, plain.images, strict=True
            )
        ),
        crops=tuple(
            _picture(folder, f"crop{number}", output, pair, task)
            for number, output, pair in zip(range(1, 1 + PICTURES), outputs, pairs, strict=False)
        ),
        task=task.name,
        data=describe_images(source, trained=bool(result.recipe)),
        latency=latency,
        device=where,
    )
    write_result(folder, result)
    write_card(folder, network.architecture, result)
    return result


def score_baseline(source: ImageSource) -> dict[str, float | str]:
    """Return the plain method's name and mean scores on the whole validation images."""
    evaluation = evaluate_baseline(source.task, whole_images(source))
    return {"name": source.task.baseline_name, **evaluation.mean}


def evaluate_baseline(task: Task, pairs: Sequence[Pair]) -> Evaluation:
    """Return the plain method's scores on each pair."""
    return _evaluation([baseline(task, pair) for pair in pairs], pairs, task)


def baseline(task: Task, pair: Pair) -> Tensor:
    """Return the plain method's output, (1, C, H, W) in [0, 1]."""
    return unit(to_tensor(task.baseline(to_pixels(pair.lq))))


def _evaluation(outputs: Sequence[Tensor], pairs: Sequence[Pair], task: Task) -> Evaluation:
    scores = [
        score(out, pair, task, task.metrics) for out, pair in zip(outputs, pairs, strict=True)
    ]
    return Evaluation(tuple(pair.name for pair in pairs), tuple(scores))


def _picture(folder: Path, stem: str, output: Tensor, pair: Pair, task: Task) -> Crop:
    """Write crops of an image, where the truth has most detail, as PNG files."""
    top, left, side = busiest(pair.gt, PICTURE_PX, task.scale)
    at_gt = (slice(None), slice(top, top + side), slice(left, left + side))
    at_lq = (slice(None), *(slice(s.start // task.scale, s.stop // task.scale) for s in at_gt[1:]))
    plain = baseline(task, pair)
    pixels = {
        "lq": pair.lq[at_lq],
        "baseline": metrics.to_eight_bits(plain)[0][at_gt],
        "output": metrics.to_eight_bits(output)[0][at_gt],
        "gt": pair.gt[at_gt],
    }
    names = {kind: f"{stem}-{kind}.png" for kind in pixels}
    for kind, image in pixels.items():
        images.write_image(folder / names[kind], to_pixels(image))
    there = Pair(pair.name, pixels["lq"], pixels["gt"])
    return Crop(
        name=pair.name,
        **names,
        scores=score(unit(pixels["output"]), there, task, task.metrics[:1]),
        baseline_scores=score(unit(pixels["baseline"]), there, task, task.metrics[:1]),
    )


def busiest(image: Tensor, side: int, multiple: int) -> tuple[int, int, int]:
    """Find (top, left, side) of the square with the strongest gradients.

    It lies on a grid of half its side.

    All three are multiples of `multiple`; the square is smaller where the image is.
    """
    height, width = image.shape[-2:]
    side = min(side, height, width) // multiple * multiple
    gray = image.float().mean(0)
    strength = gray.diff(dim=0)[:, :-1].abs() + gray.diff(dim=1)[:-1].abs()
    step = max(multiple, side // 2 // multiple * multiple)
    corners = [
        (top, left)
        for top in range(0, height - side + 1, step)
        for left in range(0, width - side + 1, step)
    ]
    top, left = max(corners, key=lambda c: strength[c[0] : c[0] + side, c[1] : c[1] + side].sum())
    return top, left, side
