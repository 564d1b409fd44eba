"""What a folder of images holds, before hours are spent on it: counts, sizes, modes, problems."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightir_core.data.images import check_memory, file_mode, to_pixels
from lightir_core.data.pack import checksum, is_pack, packed_checksum, read_pack
from lightir_core.data.sources import Item, find_layout, find_split, walk
from lightir_core.data.tasks import Task
from lightir_core.errors import DataError

_PACK = "pack"


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found in a folder or a pack for a task.

    Attributes:
        path: what was looked at.
        task: its name.
        layout: ``"pairs"``, ``"clean images"``, ``"pack"`` ...
        images: how many can be used.
        decoded_bytes: memory that they take as 8-bit RGB, degraded forms included.
        smallest: (width, height) of the image with the shortest side; clean sides.
        largest: (width, height) of the image with the most pixels.
        modes: how many files have each format and mode.
        equal_share: of the pixels of given low-quality images, those that are as the task's own
            degradation makes them; None where none are given, or where it draws at random.
        notes: what was recognised, converted or skipped.
        problems: what should be put right; with images left, a training can still run.
    """

    path: str
    task: str
    layout: str
    images: int
    decoded_bytes: int
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    modes: Mapping[str, int]
    equal_share: float | None
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def is_usable(self) -> bool:
        """Whether a training on it can start."""
        return self.images > 0

    def rows(self) -> tuple[tuple[str, str], ...]:
        """List what the table shows: what, and how much of it."""
        sizes = (self.smallest, self.largest)
        smallest, largest = (f"{size[0]}x{size[1]}" if size else "-" for size in sizes)
        modes = ", ".join(f"{count} {mode}" for mode, count in sorted(self.modes.items()))
        share = self.equal_share
        equal = () if share is None else (("equal to degraded here", f"{share:.4%} of pixels"),)
        return (
            ("folder", self.path),
            ("task", self.task),
            ("layout", self.layout),
            ("usable images", str(self.images)),
            ("smallest", smallest),
            ("largest", largest),
            ("files", modes or "-"),
            ("in memory", f"{self.decoded_bytes / 2**20:.0f} MiB"),
            *equal,
            ("problems", str(len(self.problems))),
        )


def check(path: Path, task: Task) -> Check:
    """Look at every image under `path` as a training of `task` would; errors become problems.

    Of a folder with ``train`` and ``val`` in it the former is looked at, as a training does.
    """
    parts = find_split(path)
    folder = parts[0] if parts else path
    notes: list[str] = []
    if parts:
        notes.append(f"recognised {parts[0].name} and {parts[1].name}: this is the former")
    problems: list[str] = []
    layout, modes = "-", Counter[str]()
    items: list[_Seen] = []
    try:
        layout, modes = _layout(folder, task)
        for item in _look(folder, task, given=layout.startswith("pairs")):
            if isinstance(item, str):
                notes.append(item)
            else:
                items.append(item)
    except DataError as error:
        problems.append(str(error))
        items.clear()  # a training would refuse the whole folder
    problems += [note for note in notes if ": skipped, " in note]
    problems += _duplicates(items)
    if layout != _PACK:
        problems += _too_much(items, folder)
    elif items:
        problems += _changed(folder)
    if not items and not problems:
        problems.append(f"{folder}: no image in this folder")
    return _summary(folder, task, layout, items, modes, notes, problems)


def _layout(folder: Path, task: Task) -> tuple[str, Counter[str]]:
    """Find what kind of data set it is, and the modes of its files."""
    if is_pack(folder):
        return _PACK, Counter()
    layout = find_layout(folder, task.scale)
    return layout.kind, Counter(file_mode(file) for file in (*layout.gt, *layout.lq))


def _look(folder: Path, task: Task, *, given: bool) -> Iterator[_Seen | str]:
    """Yield every item without its pixels, and the notes."""
    if is_pack(folder):
        source = read_pack(task, folder)
        yield from source.notes
        yield from (_see(item, task, given=False) for item in source.items)
        return
    for item in walk(task, folder):
        yield item if isinstance(item, str) else _see(item, task, given=given)


@dataclass(frozen=True)
class _Seen:
    """An item without its pixels."""

    scene: str
    size: tuple[int, int]
    decoded_bytes: int
    digest: str
    equal: tuple[int, int]
    """Pixels of a given low-quality image that the task would have made, and all of them."""


def _see(item: Item, task: Task, *, given: bool) -> _Seen:
    height, width = item.gt.shape[-2:]
    digest = hashlib.sha256(item.gt.contiguous().numpy().tobytes()).hexdigest()
    decoded_bytes = item.gt.nbytes + (0 if item.lq is None else item.lq.nbytes)
    equal = _equal(item, task) if given else (0, 0)
    return _Seen(item.scene, (width, height), decoded_bytes, digest, equal)


def _equal(item: Item, task: Task) -> tuple[int, int]:
    if item.lq is None or not task.degrades_whole:
        return 0, 0
    made = task.degrade(to_pixels(item.gt), np.random.default_rng(0))  # draws nothing
    same = (made == to_pixels(item.lq)).all(axis=2)
    return int(same.sum()), same.size


def _too_much(items: list[_Seen], folder: Path) -> list[str]:
    try:
        check_memory(sum(item.decoded_bytes for item in items), folder)
    except DataError as error:
        return [str(error)]
    return []


def _changed(pack: Path) -> list[str]:
    if packed_checksum(pack) == checksum(pack):
        return []
    return [f"{pack}: its images are not those that were packed (checksum); copy or pack it again"]


def _duplicates(items: list[_Seen]) -> list[str]:
    first: dict[tuple[str, tuple[int, int]], str] = {}
    notes: list[str] = []
    for item in items:
        original = first.setdefault((item.digest, item.size), item.scene)
        if original != item.scene:
            notes.append(f"{item.scene}: the same picture as {original}")
    return notes


def _summary(
    folder: Path,
    task: Task,
    layout: str,
    items: list[_Seen],
    modes: Counter[str],
    notes: list[str],
    problems: list[str],
) -> Check:
    sizes = [item.size for item in items]
    same, compared = (sum(item.equal[part] for item in items) for part in (0, 1))
    return Check(
        path=str(folder),
        task=task.name,
        layout=layout,
        images=len(items),
        decoded_bytes=sum(item.decoded_bytes for item in items),
        smallest=min(sizes, key=min, default=None),
        largest=max(sizes, key=lambda size: size[0] * size[1], default=None),
        modes=dict(modes),
        equal_share=same / compared if compared else None,
        notes=tuple(notes),
        problems=tuple(problems),
    )
