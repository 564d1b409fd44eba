"""Reading and writing photographs: whatever the file holds, 8-bit RGB comes out.

Every image of the program is a ``(H, W, 3)`` uint8 array. What had to be changed to get there
(alpha dropped, grey repeated, 16 bits scaled to 8, a rotation applied) is said in a note, and a
file that cannot be read is named and left out instead of ending a long run.
"""

import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from torch import Tensor

from lightir_core.errors import DataError
from lightir_core.files import replace_file

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
# Decoded images are held in memory by every process that trains; beyond this a packed file is read
# through a memory map, whose pages all of them share.
MAX_DECODED_BYTES = 2**30

GRAY_NOTE = "grey repeated in three channels"

MOST_ALIKE = 5
"""Notes of the same text that are given one by one."""

# What Pillow's decoders raise on a damaged file; anything else would be a fault of ours.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Image:
    """A named picture: `pixels` is (H, W, 3) uint8."""

    name: str
    pixels: np.ndarray


@dataclass(frozen=True)
class Gallery:
    """What a folder held: its images in sorted order, and a note per skipped or converted file."""

    images: tuple[Image, ...]
    notes: tuple[str, ...]


def read_image(path: Path) -> np.ndarray:
    """Read the picture in `path` as (H, W, 3) uint8, turned upright.

    Raises:
        DataError: the file is missing, is no PNG, JPEG, WebP, TIFF or BMP, is damaged, or is
            larger than Pillow's safety limit.
    """
    return decode(path)[0]


def decode(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a picture, and say what had to be changed: ``("alpha dropped",)``.

    Raises:
        DataError: `read_image` would raise it.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: not a file that can be read")  # a pipe would wait for ever
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged EXIF block does not concern us
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(path, formats=FORMATS) as image:
                return _to_rgb(image)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: more than {PIL.Image.MAX_IMAGE_PIXELS:,} pixels; cut it into smaller images"
        ) from error
    except PIL.UnidentifiedImageError as error:
        raise DataError(f"{path}: not a PNG, JPEG, WebP, TIFF or BMP image") from error
    except _DECODER_ERRORS as error:
        raise DataError(f"{path}: the image is damaged or not supported ({error})") from error


def file_mode(path: Path) -> str:
    """Return format and mode of the file's header, ``"PNG RGB"``, or ``"unreadable"``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PIL.Image.open(path, formats=FORMATS) as image:
                return f"{image.format} {image.mode}"
    except (PIL.Image.DecompressionBombError, *_DECODER_ERRORS):
        return "unreadable"


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W, 1) uint8 `pixels`; never a half-written file.

    The ending names the format.

    Raises:
        DataError: the array is no 8-bit RGB or gray image, the ending is not one of `ENDINGS`, or
            the place cannot be written to.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise DataError(f"an image is (H, W, 3) uint8; got {pixels.shape} {pixels.dtype}")
    if path.suffix.lower() not in ENDINGS:
        kind = f"cannot write {path.suffix!r}" if path.suffix else "there is no such folder"
        raise DataError(f"{path}: {kind}; name an image that ends in one of {', '.join(ENDINGS)}")
    image = PIL.Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    kind = PIL.Image.registered_extensions()[path.suffix.lower()]
    replace_file(path, lambda draft: image.save(draft, kind), DataError)


def to_gray(pixels: np.ndarray) -> np.ndarray:
    """Turn (H, W, 3) uint8 into (H, W, 1): 0.299 R + 0.587 G + 0.114 B (BT.601), rounded."""
    weighted = pixels @ np.array([299, 587, 114])
    return ((weighted + 500) // 1000).astype(np.uint8)[:, :, None]


def to_tensor(pixels: np.ndarray) -> Tensor:
    """Copy (H, W, C) uint8 into a contiguous (C, H, W) tensor."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy(order="C"))


def to_pixels(image: Tensor) -> np.ndarray:
    """Turn a (C, H, W) uint8 tensor into an (H, W, C) array."""
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))


def read_gallery(folder: Path) -> Gallery:
    """Read every readable image under `folder`, at any depth, in sorted order.

    Raises:
        DataError: there is no such folder, it holds no usable image, or the images would take
            more than `MAX_DECODED_BYTES` of memory.
    """
    images: list[Image] = []
    notes: list[str] = []
    size_bytes = 0
    for name, pixels, file_notes in walk_images(folder):
        notes += [f"{name}: {note}" for note in file_notes]
        if pixels is None:
            continue
        images.append(Image(name, pixels))
        size_bytes += pixels.nbytes
        check_memory(size_bytes, folder)
    if not images:
        raise no_image(folder, notes)
    return Gallery(tuple(images), tuple(notes))


def no_image(folder: Path, notes: Sequence[str]) -> DataError:
    """Say that a folder holds nothing usable, with the first reasons."""
    reasons = f": {'; '.join(notes[:3])}" if notes else ""
    return DataError(f"{folder}: no usable image in this folder{reasons}")


def check_memory(size_bytes: int, folder: Path) -> None:
    """Refuse images that take more memory decoded than `MAX_DECODED_BYTES`.

    Raises:
        DataError: they do.
    """
    if size_bytes > MAX_DECODED_BYTES:
        raise DataError(
            f"{folder}: its images take more than {MAX_DECODED_BYTES / 2**30:.0f} GiB of memory; "
            f"pack them into one file that is read as needed: python -m search data pack {folder} "
            "--out FILE, then give the file in place of the folder"
        )


def walk_images(folder: Path) -> Iterator[tuple[str, np.ndarray | None, tuple[str, ...]]]:
    """Yield each image file under `folder`: name, pixels (None when unreadable) and notes on it.

    One image is in memory at a time. A name is the path inside `folder`, with ``/``.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    for path in image_paths(folder):
        yield path.relative_to(folder).as_posix(), *decode_or_skip(path)


def decode_or_skip(path: Path) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Decode a file; where it cannot be read, return no pixels and the reason as a note."""
    try:
        return decode(path)
    except DataError as error:
        return None, (f"skipped, {str(error).removeprefix(f'{path}: ')}",)


def image_paths(folder: Path) -> list[Path]:
    """List the files under `folder` whose ending is an image's, sorted; hidden ones left out.

    Symbolic links are followed, each folder once.

    Raises:
        DataError: there is no such folder, or it is a file.
    """
    if not folder.exists():
        raise DataError(f"{folder}: there is no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: this is a file; a folder of images was expected")
    paths: list[Path] = []
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        here = os.path.realpath(root)
        if here in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(here)
        # sorted here, so that of two links to one folder the same one is always taken
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(root, name) for name in files if _is_image_name(name)]
    return sorted(paths, key=lambda path: path.relative_to(folder).as_posix())


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in ENDINGS


def _to_rgb(image: PIL.Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    notes: list[str] = []
    if getattr(image, "n_frames", 1) > 1 and image.format in ("TIFF", "WEBP", "PNG"):
        notes.append("several frames, the first taken")
    if _is_deep(image):
        notes.append("16 bits scaled to 8")
    upright = PIL.ImageOps.exif_transpose(image)
    if image.getexif().get(0x0112, 1) != 1:
        notes.append("turned upright as its EXIF data say")
    grey_or_colour = _without_alpha(upright, notes)
    rgb = _eight_bits(grey_or_colour, notes)
    return np.array(rgb, dtype=np.uint8), tuple(notes)


def _is_deep(image: PIL.Image.Image) -> bool:
    """Tell whether a sample has more than 8 bits; Pillow itself reduces 16-bit colour to 8."""
    if image.mode.startswith("I"):
        return True
    tiles = getattr(image, "tile", None)  # only images opened from a file have it
    return bool(tiles) and ";16" in str(tiles[0][3])


def _without_alpha(image: PIL.Image.Image, notes: list[str]) -> PIL.Image.Image:
    if image.mode == "P":
        notes.append("palette converted to RGB")
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La", "RGBX"):
        notes.append("alpha dropped")
        return image.convert("L" if image.mode.startswith("L") else "RGB")
    return image


def _eight_bits(image: PIL.Image.Image, notes: list[str]) -> PIL.Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        samples = np.asarray(image).astype(np.int64)
        if samples.min() < 0 or samples.max() > 65_535:
            raise ValueError("samples outside 0..65535; save it with 8 or 16 bits")
        image = PIL.Image.fromarray(((samples * 255 + 32_767) // 65_535).astype(np.uint8))
    if image.mode in ("L", "1"):
        notes.append(GRAY_NOTE)
    elif image.mode != "RGB":
        notes.append(f"{image.mode} converted to RGB")
    return image.convert("RGB")


def shorten(notes: Iterable[str]) -> tuple[str, ...]:
    """Count together the notes on converted images beyond the first few of a kind.

    A thousand gray photographs are one fact, not a thousand.

    A note is ``name: text``. Skipped images are always named.
    """
    kept: list[str] = []
    seen: Counter[str] = Counter()
    for note in notes:
        text = note.rpartition(": ")[2]
        alike = text != note and ": skipped, " not in note
        seen[text] += alike
        if not alike or seen[text] <= MOST_ALIKE:
            kept.append(note)
    more = {text: count - MOST_ALIKE for text, count in seen.items() if count > MOST_ALIKE}
    return (*kept, *(f"and {count} more images: {text}" for text, count in more.items()))
