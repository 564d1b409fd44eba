"""Folders of images, ``photos:2``, and how each is arranged: clean images, or pairs.

Recognised are the usual names of sub-folders (``lq`` and ``gt``, ``input`` and ``target``,
``rainy`` and ``norain``, ``HR`` and ``LR_bicubic/X2`` ...) and of the files in one folder
(``rain-001.png`` beside ``norain-001.png``). Everything else is a folder of clean images, which are
degraded on the fly.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightir_core.data.images import image_paths
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
