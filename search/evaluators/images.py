"""The images of a run, read once per process."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from lightir_core.data import images as photographs
from lightir_core.data.datasets import Data, Pair, make_pairs, open_data
from lightir_core.data.layouts import parse_folder
from lightir_core.data.sources import Source as Images
from lightir_core.learning.evaluate import evaluate
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
