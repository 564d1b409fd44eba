"""Open a run's images, score a finished network on them and keep it as a model of the run."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from budgets.budget import Size
from budgets.latency import device_name, synchronise
from lightir_core.checkpoints import save_model
from lightir_core.data import images as photographs
from lightir_core.data.datasets import Data, Pair, make_pairs, open_data, to_pixels, to_tensor
from lightir_core.data.images import write_image
from lightir_core.data.layouts import parse_folder
from lightir_core.data.metrics import to_eight_bits
from lightir_core.data.sources import Source as Images
from lightir_core.data.tasks import Task
from lightir_core.learning.evaluate import Evaluation, evaluate, restore, score, unit
from lightir_core.network import Network
from results.models import Crop, ImageScore, ModelResult, write_card, write_result
from search.jobs import ImageSource

CROP_PX = 96
"""Side of the low-quality validation crops of a search: cheap, yet several textures each."""

CROPS = 8
"""Validation images that a search crops from; evenly spaced where there are more."""


@lru_cache(maxsize=2)
def open_images(source: ImageSource) -> Data:
    """Training and validation images.

    Raises:
        DataError: a folder that is missing or holds nothing usable.
    """
    data = tuple(parse_folder(text) for text in source.data)
    val = Path(source.val) if source.val else None
    return open_data(
        source.task,
        data,
        val,
        patch_px=source.patch_px,
        patch=f"a patch of recipe {source.recipe!r} (patch_px={source.patch_px})",
    )


@lru_cache(maxsize=2)
def validation_crops(source: ImageSource) -> tuple[Pair, ...]:
    """What candidates are scored on while the search goes on."""
    images = open_images(source).validation
    chosen = images.items[:: max(1, -(-len(images.items) // CROPS))]
    return make_pairs(source.task, Images(chosen), crop_px=CROP_PX)


def quick_score(source: ImageSource, device: torch.device) -> Callable[[nn.Module], float]:
    """How good a network on `device` is while it is trained: the task's metric on the crops."""
    task, crops = source.task, validation_crops(source)

    def validate(network: nn.Module) -> float:
        return evaluate(network, crops, task, device, (task.metric,), fast=True).mean[task.metric]

    return validate


@lru_cache(maxsize=2)
def whole_images(source: ImageSource) -> tuple[Pair, ...]:
    """What finished networks are scored on."""
    return open_images(source).pairs()


def describe_images(source: ImageSource, *, trained: bool = True) -> dict[str, list[str]]:
    """Names, notes and, of the embedded photographs, the licences.

    Args:
        source: task and images.
        trained: whether the training images were looked at.
    """
    data = open_images(source)
    embedded = () if source.data or not trained else photographs.TRAINING
    if not source.data and not source.val:
        embedded += photographs.VALIDATION
    return {
        "training": [item.name for item in data.training.source.items] if trained else [],
        "validation": [item.name for item in data.validation.items],
        "notes": list(data.notes),
        "licences": [f"{p.name}: {p.author}, {p.licence} (in {p.package})" for p in embedded],
    }


CROP_PX = 96
"""Side of the pictured crops, in pixels of the truth."""

PICTURES = 3
"""Validation images that are pictured."""


TIMED_PASSES = 3
"""Timed passes at each size, after one to warm up; their median counts."""

MOST_SECONDS = 3.0
"""A size at which one pass is expected to take longer is left out: a report can do without it."""

ENLARGING = (Size(180, 320), Size(360, 640), Size(720, 1280))
SAME_SIZE = (Size(128, 128), Size(256, 256), Size(512, 512))


def keep_network(
    folder: Path,
    network: Network,
    source: ImageSource,
    result: ModelResult,
    device: torch.device,
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
    plain = _evaluation([baseline(task, pair) for pair in pairs], pairs, task)
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
        crops=_pictures(folder, outputs, pairs, task),
        task=task.name,
        data=describe_images(source, trained=bool(result.recipe)),
        latency=latency,
        device=where,
    )
    write_result(folder, result)
    write_card(folder, result)
    return result


def score_baseline(source: ImageSource) -> dict[str, float | str]:
    """The plain method's name and mean scores on the whole validation images."""
    task = source.task
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


@torch.inference_mode()
def time_network(network: Network, device: torch.device) -> tuple[dict[str, float], str]:
    """Milliseconds by output size, and the name of the device.

    Args:
        network: on `device`, in eval mode.
        device: where it runs.
    """
    scale = network.architecture.scale
    latency_ms: dict[str, float] = {}
    expected_s = 0.0
    for size in ENLARGING if scale > 1 else SAME_SIZE:
        if expected_s > MOST_SECONDS:
            break
        latency_ms[str(size)] = 1000 * _pass_s(network, size, device)
        # each size has four times the pixels of the one before
        expected_s = 4 * latency_ms[str(size)] / 1000
    return latency_ms, device_name(str(device))


def _pass_s(network: Network, size: Size, device: torch.device) -> float:
    architecture = network.architecture
    sides = (-(-side // architecture.scale) for side in (size.height, size.width))
    image = torch.rand(1, architecture.in_channels, *sides, device=device)
    network(image)
    synchronise(device)
    times: list[float] = []
    for _ in range(TIMED_PASSES):
        begun = time.perf_counter()
        network(image)
        synchronise(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
