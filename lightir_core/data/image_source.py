"""The images of a run: where they come from, opened once per process, whole and as crops."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lightir_core.data import photographs
from lightir_core.data.datasets import Data, Pair, make_pairs, open_data
from lightir_core.data.sources import Source as Images
from lightir_core.data.sources import parse_folder
from lightir_core.data.tasks import Task
from lightir_core.learning.recipe import PROXY


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where images come from; the photographs inside the dependencies where nothing is named.

    Attributes:
        task: what is restored.
        data: folders or packs to train on, as `lightir_core.data.sources.parse_folder` reads them.
        val: a folder or a pack to validate on.
        patch_px: side of the largest low-quality patches that are trained on.
        recipe: name of the recipe that takes these.
    """

    task: Task
    data: tuple[str, ...] = ()
    val: str | None = None
    patch_px: int = PROXY.patch_px
    recipe: str = PROXY.name

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return everything that a training reads images from."""
        folders = [parse_folder(text).path for text in self.data]
        return (*folders, *([Path(self.val)] if self.val else []))


CROP_PX = 96
"""Side of the low-quality validation crops of a search: cheap, yet several textures each."""


CROPS = 8
"""Validation images that a search crops from; evenly spaced where there are more."""


@lru_cache(maxsize=2)
def open_images(source: ImageSource) -> Data:
    """Return training and validation images.

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
    """Return what candidates are scored on while the search goes on."""
    images = open_images(source).validation
    chosen = images.items[:: max(1, -(-len(images.items) // CROPS))]
    return make_pairs(source.task, Images(chosen), crop_px=CROP_PX)


@lru_cache(maxsize=2)
def whole_images(source: ImageSource) -> tuple[Pair, ...]:
    """Return what finished networks are scored on."""
    return open_images(source).pairs()


def describe_images(source: ImageSource, *, trained: bool = True) -> dict[str, list[str]]:
    """Return names, notes and, of the embedded photographs, the licences.

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
