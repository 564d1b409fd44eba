"""Folders of images: how data sets are laid out, and the images and pairs that they hold.

Recognised are the usual names of sub-folders (``lq`` and ``gt``, ``input`` and ``target``,
``rainy`` and ``norain``, ``HR`` and ``LR_bicubic/X2`` ...) and of the files in one folder
(``rain-001.png`` beside ``norain-001.png``). Everything else is a folder of clean images, which are
degraded on the fly.

`walk` yields them one at a time, so that a data set larger than memory can be packed; `collect`
holds them. Tensors are uint8 (C, H, W).
"""

import math
import re
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
    image_paths,
    no_image,
    to_gray,
    to_pixels,
    to_tensor,
)
from lightir_core.data.tasks import Task
from lightir_core.errors import DataError

# (degraded, clean), in lower case; the first pair that a folder has is taken
PAIR_FOLDERS = (
    ("lq", "gt"),
    ("input", "target"),  # Rain13K, Restormer's and MPRNet's copies of the rain sets
    ("input", "gt"),
    ("rainy", "norain"),  # Rain100L, Rain100H
    ("rainy", "clean"),
    ("rain", "norain"),
    ("rain", "clean"),
    ("rainy_image", "ground_truth"),  # Rain1400
    ("data", "gt"),  # raindrop
    ("synthetic", "gt"),  # Snow100K
    ("snow", "gt"),  # CSD, SRRS
    ("snowy", "clean"),
    ("noisy", "clean"),
    ("noisy", "gt"),
)
SMALL_FOLDERS = ("lr_bicubic/x{scale}", "lr/x{scale}", "lrx{scale}", "lr_x{scale}", "lr")
"""Beside ``HR``, the images shrunk by `scale`."""

LARGE_FOLDERS = ("hr", "div2k_train_hr", "div2k_valid_hr", "flickr2k_hr")
"""Clean images; ``DIV2K_train_HR`` lies beside ``DIV2K_train_LR_bicubic/X2``."""

SPLIT_FOLDERS = (
    ("div2k_train_hr", "div2k_valid_hr"),
    ("train", "val"),
    ("train", "valid"),
    ("train", "validation"),
    ("train", "test"),
    ("training", "validation"),
    ("training", "testing"),
    ("training", "test_syn"),  # Rain800
)
"""(training, validation), in lower case."""

_AFFIXES = re.compile(r"^(norain|rainy|rain|clean|gt|lq)[-_]?|[-_]?(x[2348]|rain|clean|gt|lq)$")


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


@dataclass(frozen=True)
class Layout:
    """The files of a folder and how they belong together.

    Attributes:
        folder: what the names of the images are relative to.
        gt: clean images, or those whose left half is clean when `side_by_side`.
        lq: the degraded image of each in `gt`; empty for a folder of clean images.
        side_by_side: a file holds the clean image and, to its right, the rainy one (Rain800).
        notes: what was recognised, and which files have no partner.
    """

    folder: Path
    gt: tuple[Path, ...]
    lq: tuple[Path, ...] = ()
    side_by_side: bool = False
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What a table calls it."""
        if self.side_by_side:
            return "pairs side by side"
        return "pairs" if self.lq else "clean images"


def parse_folder(text: str) -> Folder:
    """Read ``DIR`` or ``DIR:2``; a path that exists with its colon is taken as it is.

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
    paths = [folder.path.resolve() for folder in folders]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise DataError(
                f"--data {folders[number].path} is given twice; write {folders[number].path}:2 to "
                "draw from it twice as often"
            )


def find_layout(folder: Path, scale: int) -> Layout:
    """Find out what the images under `folder` are.

    Args:
        folder: as the user gave it.
        scale: of the task; above 1 a folder ``HR`` is paired with the images shrunk by it.

    Raises:
        DataError: there is no such folder, or it has a degraded and a clean folder but no file
            has a partner of the same name.
    """
    paths = image_paths(folder)
    small = _small_and_large(folder, scale)
    if small is not None:
        return small
    for degraded, clean in PAIR_FOLDERS:
        lq, gt = child(folder, degraded), child(folder, clean)
        if lq is not None and gt is not None:
            return _matched(folder, _named(lq), _named(gt), f"{lq.name} and {gt.name}")
    truths = [path for path in paths if path.stem.lower().startswith("norain")]
    rainy = [path for path in paths if path.stem.lower().startswith("rain")]
    if truths and rainy:
        names = [{path: path.stem.lower() for path in files} for files in (rainy, truths)]
        return _matched(folder, names[0], names[1], "rain and norain files")
    if _is_rain800(folder):
        note = "recognised Rain800: each file split in the middle, left clean, right rainy"
        return Layout(folder, tuple(paths), side_by_side=True, notes=(note,))
    return Layout(folder, tuple(paths))


def find_split(folder: Path) -> tuple[Path, Path] | None:
    """Find the training and the validation part of a data set that has both, else None."""
    for train, validate in SPLIT_FOLDERS:
        parts = child(folder, train), child(folder, validate)
        if parts[0] is not None and parts[1] is not None:
            return parts[0], parts[1]
    return None


def child(folder: Path, name: str) -> Path | None:
    """Find the sub-folder of that name in any case; `name` is lower-case, a ``/`` may be in it."""
    for part in name.split("/"):
        if not folder.is_dir():
            return None
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        inner = next((path for path in inside if path.name.lower() == part), None)
        if inner is None:
            return None
        folder = inner
    return folder


def _small_and_large(folder: Path, scale: int) -> Layout | None:
    large = next(filter(None, (child(folder, name) for name in LARGE_FOLDERS)), None)
    if large is None:
        return None
    begin = large.name.lower().removesuffix("hr")  # of a name such as DIV2K_train_HR
    for pattern in SMALL_FOLDERS if scale > 1 else ():
        small = child(folder, begin + pattern.format(scale=scale))
        if small is not None:
            what = f"{small.relative_to(folder).as_posix()} and {large.name}"
            return _matched(folder, _named(small), _named(large), what)
    note = f"recognised {large.name}: clean images, degraded here; its neighbours are not read"
    return Layout(folder, tuple(image_paths(large)), notes=(note,))


def _named(folder: Path) -> dict[Path, str]:
    """Name the partner that each image under `folder` should have: no ending, no case."""
    return {
        path: path.relative_to(folder).with_suffix("").as_posix().lower()
        for path in image_paths(folder)
    }


def _matched(folder: Path, lq: dict[Path, str], gt: dict[Path, str], what: str) -> Layout:
    """Pair files by name; several degraded images may share a truth (Rain1400)."""
    truths = {_bare(name): path for path, name in gt.items()}
    truths |= {name: path for path, name in gt.items()}
    pairs: list[tuple[Path, Path]] = []
    for path, name in lq.items():
        bare = _bare(name)
        # 0001, 0001x2 -> 0001, and 12_3 -> 12: the third kind of rain on background 12
        partner = truths.get(name) or truths.get(bare) or truths.get(bare.rpartition("_")[0])
        if partner is not None:
            pairs.append((path, partner))
    if not pairs:
        raise DataError(
            f"{folder}: {what} look like pairs, but no name occurs in both"
            f"{_example(lq)}{_example(gt)}; give both files of a pair the same name"
        )
    used = {path for pair in pairs for path in pair}
    alone = [path for path in (*lq, *gt) if path not in used]
    notes = [f"recognised {what}: {len(pairs)} pairs"]
    notes += [f"{path.relative_to(folder).as_posix()}: skipped, no partner" for path in alone]
    degraded, clean = zip(*pairs, strict=True)
    return Layout(folder, clean, degraded, notes=tuple(notes))


def _bare(name: str) -> str:
    """Strip from a name what tells a degraded image from a clean one: rain-001 -> 001."""
    folder, slash, stem = name.rpartition("/")
    return folder + slash + (_AFFIXES.sub("", stem) or stem)


def _example(paths: Iterable[Path]) -> str:
    first = next(iter(paths), None)
    return f", such as {first.name}" if first else ", and one of them holds no image"


def _is_rain800(folder: Path) -> bool:
    if "rain800" in folder.name.lower():
        return True
    siblings = (child(folder.parent, "training"), child(folder.parent, "test_syn"))
    return folder in siblings and None not in siblings


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
