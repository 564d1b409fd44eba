"""Images read for a task: clean ones, or pairs of a degraded image and its truth.

`walk` yields them one at a time, so that a data set larger than memory can be packed; `collect`
holds them. Tensors are uint8 (C, H, W).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from lightir_core.data.images import (
    GRAY_NOTE,
    Gallery,
    check_memory,
    decode_or_skip,
    no_image,
    to_gray,
    to_pixels,
    to_tensor,
)
from lightir_core.data.layouts import Folder, Layout, find_layout
from lightir_core.data.tasks import Task
from lightir_core.errors import DataError

MOST_HELD_OUT = 20
"""More validation images cost time at every evaluation and hardly steady the mean."""


@dataclass(frozen=True)
class Item:
    """An image for training or validation.

    Attributes:
        name: its path inside the folder.
        scene: equal for images of the same truth, which must not be split between training and
            validation.
        gt: the truth, (C, H s, W s).
        lq: its degraded form, (C, H, W), or None when it is made at every use.
        weight: how many times oftener than by its size alone a patch comes from it.
    """

    name: str
    scene: str
    gt: Tensor
    lq: Tensor | None
    weight: float = 1.0


@dataclass(frozen=True)
class Source:
    """The images of a folder, or of several."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.items)


def read_folder(task: Task, folder: Path) -> Source:
    """Read every usable image under `folder` into memory.

    Raises:
        DataError: no such folder, nothing usable in it, pairs whose sizes do not fit the task, or
            more than memory should hold.
    """
    return collect(walk(task, folder), folder)


def from_gallery(task: Task, gallery: Gallery) -> Source:
    """Take clean images that are already read."""
    items = (
        Item(image.name, image.name, _tensor(task, image.pixels), None) for image in gallery.images
    )
    return Source(tuple(prepare(task, item) for item in items), gallery.notes)


def collect(walked: Iterable[Item | str], folder: Path) -> Source:
    """Gather the items and notes of `walk`.

    Raises:
        DataError: there is no item, or they take too much memory.
    """
    items: list[Item] = []
    notes: list[str] = []
    size_bytes = 0
    for item in walked:
        if isinstance(item, str):
            notes.append(item)
            continue
        if not items or items[-1].gt is not item.gt:  # neighbours may share their truth
            size_bytes += item.gt.nbytes
        size_bytes += 0 if item.lq is None else item.lq.nbytes
        items.append(item)
        check_memory(size_bytes, folder)
    if not items:
        raise no_image(folder, notes)
    return Source(tuple(items), tuple(notes))


def join(sources: Sequence[Source], folders: Sequence[Folder]) -> Source:
    """Join the images of several sources; names then begin with their folder's.

    A single source keeps its names.
    """
    labels = _labels(folders)
    items = tuple(
        replace(item, name=label + item.name, scene=label + item.scene, weight=folder.weight)
        for source, folder, label in zip(sources, folders, labels, strict=True)
        for item in source.items
    )
    notes = tuple(
        f"{label}{note}"
        for source, label in zip(sources, labels, strict=True)
        for note in source.notes
    )
    return Source(items, notes)


def prepare(task: Task, item: Item) -> Item:
    """Cut a clean item to a multiple of the scale; degrade it once, if the task does so whole.

    Shrinking the whole image and cutting aligned patches keeps the patch borders right: they see
    their neighbours, as they do in a test image.
    """
    height, width = (side - side % task.scale for side in item.gt.shape[-2:])
    gt = item.gt[:, :height, :width]
    if not task.degrades_whole:
        return replace(item, gt=gt)
    nothing_drawn = np.random.default_rng(0)
    return replace(item, gt=gt, lq=to_tensor(task.degrade(to_pixels(gt), nothing_drawn)))


def walk(task: Task, folder: Path) -> Iterator[Item | str]:
    """Yield each usable image under `folder` as an item, and notes on the others, sorted.

    Raises:
        DataError: no such folder, or pairs whose sizes do not fit the task.
    """
    if task.channels == 3:
        yield from _walk(task, folder)
        return
    yield "images are read as gray: 0.299 R + 0.587 G + 0.114 B"
    for item in _walk(task, folder):
        if not (isinstance(item, str) and item.endswith(GRAY_NOTE)):
            yield item


def _walk(task: Task, folder: Path) -> Iterator[Item | str]:
    layout = find_layout(folder, task.scale)
    yield from layout.notes
    if layout.side_by_side:
        yield from _walk_halves(task, layout)
    elif layout.lq:
        yield from _walk_pairs(task, layout)
    else:
        yield from _walk_clean(task, layout)


def keep_large(source: Source, least_px: int, what: str) -> Source:
    """Keep items whose low-quality sides are `least_px` or more, with a note on each other one.

    Args:
        source: to choose from; for super-resolution its items have an `lq`.
        least_px: smallest side that is kept.
        what: needs that side, for the message: ``"a patch"``.

    Raises:
        DataError: none is left.
    """
    notes: list[str] = []
    kept: list[Item] = []
    largest = (0, "")
    for item in source.items:
        height, width = (item.gt if item.lq is None else item.lq).shape[-2:]
        largest = max(largest, (min(height, width), f"{item.name} with {width}x{height} px"))
        if min(height, width) >= least_px:
            kept.append(item)
        else:
            notes.append(
                f"{item.name}: skipped, {width}x{height} px; {what} takes {least_px}x{least_px}"
            )
    if not kept:
        raise DataError(
            f"every image is too small: {what} takes {least_px}x{least_px} low-quality pixels, the "
            f"largest image is {largest[1]}; give larger images"
        )
    return Source(tuple(kept), (*source.notes, *notes))


def split(source: Source, *, seed: int = 0) -> tuple[Source, Source]:
    """Split `source` into a training part and a validation part: a tenth, 1 to 20 scenes.

    Which scenes are held out depends on their names and on `seed` only; the notes stay with the
    training part.

    Raises:
        DataError: there is only one scene.
    """
    scenes = sorted({item.scene for item in source.items})
    if len(scenes) < 2:
        raise DataError(
            f"only one image ({scenes[0]}) for training and validation; "
            "give other images for validation with --val"
        )
    count = min(max(1, round(len(scenes) / 10)), MOST_HELD_OUT)
    drawn = np.random.default_rng(seed).permutation(len(scenes))[:count]
    held_out = {scenes[index] for index in drawn}
    rest = tuple(item for item in source.items if item.scene not in held_out)
    out = tuple(item for item in source.items if item.scene in held_out)
    note = f"{len(out)} of {len(source)} images held out for validation"
    return replace(source, items=rest, notes=(*source.notes, note)), Source(out)


def _walk_clean(task: Task, layout: Layout) -> Iterator[Item | str]:
    for path in layout.gt:
        name = path.relative_to(layout.folder).as_posix()
        pixels, notes = decode_or_skip(path)
        yield from (f"{name}: {note}" for note in notes)
        if pixels is None:
            continue
        if min(pixels.shape[:2]) < task.scale:
            height, width = pixels.shape[:2]
            yield f"{name}: skipped, {width}x{height} px is too small for x{task.scale}"
            continue
        yield prepare(task, Item(name, name, _tensor(task, pixels), None))


def _walk_pairs(task: Task, layout: Layout) -> Iterator[Item | str]:
    if not task.takes_pairs:
        yield "degraded images are made from the clean ones: a mosaic's phase is lost in patches"
        yield from _walk_clean(task, replace(layout, gt=tuple(sorted(set(layout.gt))), lq=()))
        return
    last: tuple[Path | None, Tensor | None] = (None, None)
    for lq_path, gt_path in zip(layout.lq, layout.gt, strict=True):
        name, scene = (path.relative_to(layout.folder).as_posix() for path in (lq_path, gt_path))
        lq, notes = _decode_tensor(task, lq_path)
        yield from (f"{name}: {note}" for note in notes)
        if gt_path != last[0]:  # neighbours may share their truth: it is read and held once
            gt, notes = _decode_tensor(task, gt_path)
            yield from (f"{scene}: {note}" for note in notes)
            last = (gt_path, gt)
        if lq is not None and last[1] is not None:
            yield _pair(task, Item(name, scene, last[1], lq), layout.folder)


def _decode_tensor(task: Task, path: Path) -> tuple[Tensor | None, tuple[str, ...]]:
    pixels, notes = decode_or_skip(path)
    return (None if pixels is None else _tensor(task, pixels)), notes


def _tensor(task: Task, pixels: np.ndarray) -> Tensor:
    return to_tensor(to_gray(pixels) if task.channels == 1 else pixels)


def _pair(task: Task, item: Item, folder: Path) -> Item:
    """Cut the truth to a multiple of the scale, when the pair's sizes fit the task."""
    assert item.lq is not None
    scale, gt = task.scale, item.gt
    height, width = item.lq.shape[-2:]
    if (gt.shape[-2] // scale, gt.shape[-1] // scale) != (height, width):
        expected = f"1/{scale} of it" if scale > 1 else "the same size"
        raise DataError(
            f"{folder}: {item.name} is {width}x{height} px and {item.scene} is "
            f"{gt.shape[-1]}x{gt.shape[-2]} px; task {task.name} expects {expected}: "
            "remove the pair, or choose the task that fits"
        )
    if gt.shape[-2:] == (height * scale, width * scale):
        return item
    return replace(item, gt=gt[:, : height * scale, : width * scale].contiguous())


def _walk_halves(task: Task, layout: Layout) -> Iterator[Item | str]:
    for path in layout.gt:
        name = path.relative_to(layout.folder).as_posix()
        pixels, notes = decode_or_skip(path)
        yield from (f"{name}: {note}" for note in notes)
        if pixels is None:
            continue
        width = pixels.shape[1] // 2
        if pixels.shape[1] % 2:
            yield f"{name}: skipped, its width {pixels.shape[1]} is not that of two halves"
            continue
        clean, rainy = _tensor(task, pixels[:, :width]), _tensor(task, pixels[:, width:])
        yield _pair(task, Item(name, name, clean, rainy), layout.folder)


def _labels(folders: Sequence[Folder]) -> list[str]:
    """Find the shortest ends of the paths that tell the folders apart, with a slash."""
    if len(folders) == 1:
        return [""]
    parts = [folder.path.resolve().parts for folder in folders]
    length = 1
    while len({part[-length:] for part in parts}) < len(parts):
        length += 1
    return ["/".join(part[-length:]).lstrip("/") + "/" for part in parts]
