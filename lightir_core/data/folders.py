"""Several sources of training images with weights: ``photos:2``, ``scans``, ``rain.pack:0.5``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightir_core.data.sources import Item, Source
from lightir_core.errors import DataError


@dataclass(frozen=True)
class Folder:
    """A folder of images, or a packed file, to train on.

    Attributes:
        path: where it is.
        weight: a patch comes from it this many times oftener than by the sizes of its images.
    """

    path: Path
    weight: float = 1.0

    def __str__(self) -> str:
        """The text that `parse_folder` reads back."""
        return str(self.path) if self.weight == 1 else f"{self.path}:{self.weight!r}"


def parse_folder(text: str) -> Folder:
    """``DIR`` or ``DIR:2``; a path that exists with its colon is taken as it is.

    Raises:
        DataError: the weight is no positive number.
    """
    path, colon, weight_text = text.rpartition(":")
    if not colon or not path or Path(text).exists():
        return Folder(Path(text))
    try:
        weight = float(weight_text)
    except ValueError:
        return Folder(Path(text))  # whatever it is, its absence will be told
    if not 0 < weight < math.inf:
        raise DataError(f"--data {text}: the weight {weight_text} is no positive number; write 2")
    return Folder(Path(path), weight)


def check_different(folders: Sequence[Folder]) -> None:
    """Refuse a folder that is given twice.

    Raises:
        DataError: one is; a weight says the same better.
    """
    places = [folder.path.resolve() for folder in folders]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise DataError(
                f"--data {folders[number].path} is given twice; write {folders[number].path}:2 to "
                "draw from it twice as often"
            )


def join(sources: Sequence[Source], folders: Sequence[Folder]) -> Source:
    """The images of several sources as one; names then begin with their folder's.

    A single source keeps its names.
    """
    labels = _labels(folders)
    items = tuple(
        _relabelled(item, label, folder.weight)
        for source, folder, label in zip(sources, folders, labels, strict=True)
        for item in source.items
    )
    notes = tuple(
        f"{label}{note}"
        for source, label in zip(sources, labels, strict=True)
        for note in source.notes
    )
    return Source(items, notes)


def _labels(folders: Sequence[Folder]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart, with a slash; none for one."""
    if len(folders) == 1:
        return [""]
    parts = [folder.path.resolve().parts for folder in folders]
    length = 1
    while len({part[-length:] for part in parts}) < len(parts):
        length += 1
    return ["/".join(part[-length:]).lstrip("/") + "/" for part in parts]


def _relabelled(item: Item, label: str, weight: float) -> Item:
    return replace(item, name=label + item.name, scene=label + item.scene, weight=weight)
