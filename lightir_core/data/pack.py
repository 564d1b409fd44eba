"""A data set in one safetensors file, read through a memory map.

Decoding hundreds of large photographs takes minutes and gigabytes; a pack is opened at once, and
only the patches that a training cuts are read from the disk. Processes share its pages.

Each image is a tensor of uint8 (C, H, W). What belongs together, for which task, lies as JSON in
the file's metadata, with a checksum of all images: by it machines tell, without reading their
copies, whether these were made equal, and each can find out whether its own still is. Nothing in
the file is trusted: safetensors checks every size against the file before a byte is read.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pydantic
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lightir_core.data import images
from lightir_core.data.sources import Item, Source, find_split, no_image, prepare, walk
from lightir_core.data.tasks import Task
from lightir_core.errors import DataError
from lightir_core.files import replace_file

_KEY = "lightir_pack"
_BEGIN = f'{{"__metadata__":{{"{_KEY}":'.encode()
_LENGTH_BYTES = 8
"""Of the header, little-endian, at the start of the file."""

_OLD_MAGIC = b"LightIR pack 1\n\0"


class _Entry(pydantic.BaseModel, strict=True, extra="forbid", frozen=True):
    name: str
    scene: str
    gt: str
    """Name of the tensor; neighbours may share it."""
    lq: str | None


class _Contents(pydantic.BaseModel, strict=True, extra="forbid", frozen=True):
    kind: str | None
    """The task that degraded images belong to; None when there are none."""
    channels: Literal[1, 3]
    sha256: str
    entries: list[_Entry] = pydantic.Field(min_length=1)
    notes: list[str]


def is_pack(path: Path) -> bool:
    """Tell whether the file begins as a pack does, of this format or of the one before."""
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH_BYTES + len(_BEGIN))
    except OSError:
        return False
    return start[_LENGTH_BYTES:] == _BEGIN or start.startswith(_OLD_MAGIC)


def write_pack(task: Task, folder: Path, path: Path) -> int:
    """Pack the images under `folder` into `path`, and return how many there are.

    Of a folder with ``train`` and ``val`` in it the former is packed, as it is trained on.

    A task that degrades whole images (super-resolution) has its low-quality images packed too, as
    have pairs; otherwise the clean images alone are packed, for every task.

    Raises:
        DataError: `lightir_core.data.sources.read_folder` would refuse the folder, but for the
            memory; or the file cannot be written.
    """
    parts, packed = find_split(folder), 0

    def write(draft: Path) -> None:
        nonlocal packed
        with tempfile.TemporaryFile(dir=path.parent) as pixels, draft.open("wb") as file:
            header, contents = _write_pixels(task, parts[0] if parts else folder, pixels)
            pixels.seek(0)
            # the header comes first, and the sizes in it are known last
            file.write(len(header).to_bytes(_LENGTH_BYTES, "little") + header)
            shutil.copyfileobj(pixels, file, 2**20)
        packed = len(contents.entries)

    replace_file(path, write, DataError)
    return packed


def packed_checksum(path: Path) -> str:
    """Return the SHA-256 of the images as they were packed.

    Raises:
        DataError: the file is no pack, or is damaged.
    """
    with _opened(path) as (_, contents):
        return contents.sha256


def checksum(path: Path) -> str:
    """Return the SHA-256 of the images as they are in the pack now; reads all of it.

    Raises:
        DataError: the file is no pack, or is damaged.
    """
    digest = hashlib.sha256()
    with _opened(path), path.open("rb") as file:
        file.seek(_LENGTH_BYTES + int.from_bytes(file.read(_LENGTH_BYTES), "little"))
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def read_pack(task: Task, path: Path) -> Source:
    """Map the images of a pack for `task`; their pixels stay on the disk until they are used.

    Raises:
        DataError: the file is no pack, is damaged or cut short, or was made for another task.
    """
    items: list[Item] = []
    made_bytes = 0
    with _opened(path) as (file, contents):
        if contents.kind not in (None, task.kind):
            raise DataError(
                f"{path}: packed for task {contents.kind}, not {task.kind}; pack the images again: "
                f"python -m search data pack FOLDER --task {task.kind}"
            )
        if contents.channels != task.channels:
            raise DataError(
                f"{path}: its images have {contents.channels} channels, {task.name} takes "
                f"{task.channels}; pack them again with --channels {task.channels}"
            )
        # views of private memory: torch may write to them, and nothing ever reaches the file
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no dict
        _check(contents, tensors, path)
        for entry in contents.entries:
            items.append(_item(task, entry, tensors, path))
            if contents.kind is None and items[-1].lq is not None:  # shrunk just now, into memory
                made_bytes += items[-1].lq.nbytes
                if made_bytes > images.MAX_DECODED_BYTES:
                    raise DataError(
                        f"{path}: packed without low-quality images for {task.kind}, which would "
                        f"take too much memory; pack the folder again with --task {task.kind}"
                    )
    return Source(tuple(items), tuple(contents.notes))


def _write_pixels(task: Task, folder: Path, file: BinaryIO) -> tuple[bytes, _Contents]:
    """Write the images one after the other, and return the header that describes them."""
    layout: dict[str, Any] = {}
    entries: list[_Entry] = []
    notes: list[str] = []
    last: Tensor | None = None
    digest = hashlib.sha256()

    def write(name: str, image: Tensor) -> str:
        pixels = image.contiguous().numpy().tobytes()
        begin = file.tell()
        digest.update(pixels)
        file.write(pixels)
        offsets = [begin, begin + len(pixels)]
        layout[name] = {"dtype": "U8", "shape": list(image.shape), "data_offsets": offsets}
        return name

    for item in walk(task, folder):
        if isinstance(item, str):
            notes.append(item)
            continue
        number = len(entries)
        shared = last is item.gt  # neighbours may share their truth
        gt = entries[-1].gt if shared else write(f"gt.{number}", item.gt)
        lq = None if item.lq is None else write(f"lq.{number}", item.lq)
        entries.append(_Entry(name=item.name, scene=item.scene, gt=gt, lq=lq))
        last = item.gt
    if not entries:
        raise no_image(folder, notes)
    contents = _Contents(
        kind=None if entries[0].lq is None else task.kind,
        channels=task.channels,
        sha256=digest.hexdigest(),
        entries=entries,
        notes=notes,
    )
    whole = {"__metadata__": {_KEY: contents.model_dump_json()}, **layout}
    header = json.dumps(whole, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % _LENGTH_BYTES), contents


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, _Contents]]:
    """Open a pack and read what it says of itself."""
    if not is_pack(path):
        raise DataError(f"{path}: not a packed data set; give a folder, or pack one first")
    with path.open("rb") as start:
        if start.read(len(_OLD_MAGIC)) == _OLD_MAGIC:
            raise DataError(
                f"{path}: packed by an earlier version, in a format that is no longer read; pack "
                f"the folder again: python -m search data pack FOLDER --out {path}"
            )
    try:
        with safe_open(path, framework="pt") as file:
            yield file, _Contents.model_validate_json((file.metadata() or {})[_KEY])
    except (SafetensorError, KeyError) as error:
        raise DataError(
            f"{path}: the pack is damaged or cut short ({error}); pack the folder again"
        ) from error
    except pydantic.ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DataError(f"{path}: the pack's header is damaged ({reason})") from error


def _check(contents: _Contents, tensors: dict[str, Tensor], path: Path) -> None:
    entries = contents.entries
    names = {name for entry in entries for name in (entry.gt, entry.lq) if name is not None}
    with_lq = sum(entry.lq is not None for entry in entries)
    if (
        names != set(tensors)
        or not _are_images(tensors.values(), contents.channels)
        or with_lq != (len(entries) if contents.kind else 0)
    ):
        raise DataError(f"{path}: the pack's header does not fit its images; pack the folder again")


def _are_images(tensors: Iterable[Tensor], channels: int) -> bool:
    return all(
        t.dtype == torch.uint8 and t.ndim == 3 and len(t) == channels and t.numel() for t in tensors
    )


def _item(task: Task, entry: _Entry, tensors: dict[str, Tensor], path: Path) -> Item:
    gt = tensors[entry.gt]
    if entry.lq is None and min(gt.shape[-2:]) >= task.scale:
        return prepare(task, Item(entry.name, entry.scene, gt, None))
    lq = None if entry.lq is None else tensors[entry.lq]
    if lq is None or gt.shape[-2:] != (lq.shape[-2] * task.scale, lq.shape[-1] * task.scale):
        raise DataError(
            f"{path}: the image {entry.name} does not fit task {task.kind}; pack the folder again "
            f"with --task {task.kind}"
        )
    return Item(entry.name, entry.scene, gt, lq)


def fingerprint(path: Path) -> str:
    """Return what shows whether two machines see the same: how many files of how many bytes.

    Of a packed file, the checksum that it was packed with; `data check` finds later damage.
    """
    if not path.exists():
        return "missing"
    if is_pack(path):
        return f"a pack of {path.stat().st_size:,} bytes, {packed_checksum(path)[:12]}"
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    return f"{len(files)} file{'s' * (len(files) != 1)} of {size:,} bytes"
