"""Score a finished network on whole validation images and keep it as a model of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from budgets.budget import Budget
from budgets.cost import Cost
from lightir_core.architecture import Architecture
from lightir_core.checkpoints import load_weights, save_model
from lightir_core.data.datasets import Pair, to_pixels, to_tensor
from lightir_core.data.images import write_image
from lightir_core.data.metrics import to_eight_bits
from lightir_core.data.tasks import Task, parse_task
from lightir_core.learning.evaluate import Evaluation, score, unit
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.tiling import restore
from lightir_core.network import Network, build
from results.models import Crop, ImageScore, ModelResult, write_card, write_result
from results.run import RunFolder
from search.evaluators.images import describe_images, whole_images
from search.evaluators.timing import time_network
from search.jobs import Outcome, Source

CROP_PX = 96
"""Side of the pictured crops, in pixels of the truth."""

PICTURES = 3
"""Validation images that are pictured."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A network whose training is over: what it is, costs, and how it came about.

    Attributes:
        recipe: of its last training; None if it had none.
    """

    kind: Literal["trained", "pruned", "parent"]
    trial: int
    architecture: Architecture
    cost: Cost
    outcome: Outcome
    recipe: Recipe | None
    parent: str | None = None
    compression: dict[str, Any] = field(default_factory=dict[str, Any])


def keep_model(
    run: Path,
    weights: Path,
    source: Source,
    finished: Finished,
    budget: Budget,
    device: torch.device,
) -> ModelResult:
    """Score the network, write its folder under models/, and return what is known of it."""
    network = build(finished.architecture)
    load_weights(weights, network)
    folder = RunFolder(run).model(finished.architecture.id)
    return keep_network(folder, network, source, finished, budget, device)


def keep_network(
    folder: Path,
    network: Network,
    source: Source,
    finished: Finished,
    budget: Budget,
    device: torch.device,
) -> ModelResult:
    """Score `network`, write it with what is known of it into `folder`, and return the latter."""
    task = parse_task(source.task)
    network = network.to(device).eval()
    pairs = whole_images(source)
    outputs = [restore(network, unit(p.lq).to(device), scale=task.scale).cpu() for p in pairs]
    evaluation = _evaluation(outputs, pairs, task)
    plain = _evaluation([baseline(task, pair) for pair in pairs], pairs, task)
    save_model(folder, network)
    latency, where = time_network(network, device)
    result = ModelResult(
        id=finished.architecture.id,
        kind=finished.kind,
        trial=finished.trial,
        parent=finished.parent,
        architecture=finished.architecture,
        cost=finished.cost.to_plain(),
        scores=evaluation.mean,
        baseline=plain.mean,
        within_budget=budget.allows(finished.cost),
        images=tuple(
            ImageScore(name=name, scores=dict(mine), baseline=dict(theirs))
            for name, mine, theirs in zip(
                evaluation.names, evaluation.images, plain.images, strict=True
            )
        ),
        curve=finished.outcome.curve,
        seconds=finished.outcome.seconds,
        steps=0 if finished.recipe is None else finished.recipe.steps,
        crops=_pictures(folder, outputs, pairs, task),
        task=source.task,
        data=describe_images(source, trained=finished.recipe is not None),
        recipe=_recipe_to_plain(finished),
        compression=finished.compression,
        latency=latency,
        device=where,
    )
    write_result(folder, result)
    write_card(folder, result)
    return result


def _recipe_to_plain(finished: Finished) -> dict[str, Any]:
    if finished.recipe is None:
        return {}
    restart = finished.outcome.restart
    return {**asdict(finished.recipe), **({"restart": restart.text} if restart else {})}


def score_baseline(source: Source) -> dict[str, float | str]:
    """The plain method's name and mean scores on the whole validation images."""
    task = parse_task(source.task)
    pairs = whole_images(source)
    evaluation = _evaluation([baseline(task, pair) for pair in pairs], pairs, task)
    return {"name": task.baseline_name, **evaluation.mean}


def baseline(task: Task, pair: Pair) -> Tensor:
    """The plain method's output, (1, C, H, W) in [0, 1]."""
    return unit(to_tensor(task.baseline(to_pixels(pair.lq))))


def _evaluation(outputs: Sequence[Tensor], pairs: Sequence[Pair], task: Task) -> Evaluation:
    scores = [
        score(out, pair, task, task.metrics) for out, pair in zip(outputs, pairs, strict=True)
    ]
    return Evaluation(tuple(pair.name for pair in pairs), tuple(scores))


def _pictures(
    folder: Path, outputs: Sequence[Tensor], pairs: Sequence[Pair], task: Task
) -> tuple[Crop, ...]:
    """Crops of the first images, where the truth has most detail, as PNG files in `folder`."""
    return tuple(
        _picture(folder, f"crop{index + 1}", outputs[index], pairs[index], task)
        for index in range(min(PICTURES, len(pairs)))
    )


def _picture(folder: Path, stem: str, output: Tensor, pair: Pair, task: Task) -> Crop:
    top, left, side = busiest(pair.gt, CROP_PX, task.scale)
    at_gt = (slice(None), slice(top, top + side), slice(left, left + side))
    at_lq = (slice(None), *(slice(s.start // task.scale, s.stop // task.scale) for s in at_gt[1:]))
    plain = baseline(task, pair)
    pixels = {
        "lq": pair.lq[at_lq],
        "baseline": to_eight_bits(plain)[0][at_gt],
        "output": to_eight_bits(output)[0][at_gt],
        "gt": pair.gt[at_gt],
    }
    names = {kind: f"{stem}-{kind}.png" for kind in pixels}
    for kind, image in pixels.items():
        write_image(folder / names[kind], to_pixels(image))
    there = Pair(pair.name, pixels["lq"], pixels["gt"])
    return Crop(
        name=pair.name,
        **names,
        scores=score(unit(pixels["output"]), there, task, task.metrics[:1]),
        baseline_scores=score(unit(pixels["baseline"]), there, task, task.metrics[:1]),
    )


def busiest(image: Tensor, side: int, multiple: int) -> tuple[int, int, int]:
    """(top, left, side) of the square with the strongest gradients, on a grid of half its side.

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
