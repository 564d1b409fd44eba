"""A data set in one file, read through a memory map.

Decoding hundreds of large photographs takes minutes and gigabytes; a pack is opened at once, and
only the patches that a training cuts are read from the disk. Processes share its pages.

All images go into a checksum in the header. By it machines tell, without reading their copies,
whether these were made equal, and each can find out whether its own still is.

The file: 16 bytes of magic; offset and length of the header, little-endian 64-bit; the images, raw
uint8 in (C, H, W) order; the header, JSON. It comes last because the sizes are known last. Nothing
in the file is trusted: every size is checked against the file before a byte is read.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pydantic
import torch
from torch import Tensor

from lightir_core.data import images
from lightir_core.data.layouts import find_split
from lightir_core.data.sources import Item, Source, prepare, walk
from lightir_core.data.tasks import Task
from lightir_core.errors import DataError

_MAGIC = b"LightIR pack 1\n\0"
_PLACE = struct.Struct("<QQ")
_START = len(_MAGIC) + _PLACE.size


class _Block(pydantic.BaseModel, strict=True, extra="forbid", frozen=True):
    """An image in the file."""

    offset: int = pydantic.Field(ge=_START)
    height: int = pydantic.Field(ge=1)
    width: int = pydantic.Field(ge=1)

    def end(self, channels: int) -> int:
        return self.offset + channels * self.height * self.width


class _Entry(pydantic.BaseModel, strict=True, extra="forbid", frozen=True):
    name: str
    scene: str
    gt: _Block
    lq: _Block | None


class _Header(pydantic.BaseModel, strict=True, extra="forbid", frozen=True):
    kind: str | None
    """The task that degraded images belong to; None when there are none."""
    entries: list[_Entry]
    notes: list[str]
    channels: Literal[1, 3] = 3
    sha256: str | None = None
    """Of the images; packs of before had none."""


def is_pack(path: Path) -> bool:
    """Whether the file begins as a pack does."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def write_pack(task: Task, folder: Path, path: Path) -> int:
    """Pack the images under `folder` into `path`; returns how many.

    Of a folder with ``train`` and ``val`` in it the former is packed, as it is trained on.

    A task that degrades whole images (super-resolution) has its low-quality images packed too, as
    have pairs; otherwise the clean images alone are packed, for every task.

    Raises:
        DataError: as `lightir_core.data.sources.read_folder`, but for the memory; or the file
            cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                parts = find_split(folder)
                count = _write(task, parts[0] if parts else folder, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)  # a temporary file is made private
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror or error}; make room or choose another place"
        ) from error
    return count


def packed_checksum(path: Path) -> str | None:
    """SHA-256 of the images as they were packed; None of a pack that was made without one.

    Raises:
        DataError: the file is no pack, or its header is damaged.
    """
    return _read_header(path)[0].sha256


def checksum(path: Path) -> str:
    """SHA-256 of the images as they are in the pack now; reads all of it.

    Raises:
        DataError: as `packed_checksum`.
    """
    _, end = _read_header(path)
    digest, left = hashlib.sha256(), end - _START
    with path.open("rb") as file:
        file.seek(_START)
        while left and (piece := file.read(min(left, 2**20))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def read_pack(task: Task, path: Path) -> Source:
    """The images of a pack for `task`; their pixels stay on the disk until they are used.

    Raises:
        DataError: the file is no pack, is damaged or cut short, or was made for another task.
    """
    header, size = _read_header(path)
    _check_blocks(header, size, path)
    if header.kind not in (None, task.kind):
        raise DataError(
            f"{path}: packed for task {header.kind}, not {task.kind}; pack the images again: "
            f"python -m search data pack FOLDER --task {task.kind}"
        )
    if header.channels != task.channels:
        raise DataError(
            f"{path}: its images have {header.channels} channels, {task.name} takes "
            f"{task.channels}; pack them again with --channels {task.channels}"
        )
    # copy-on-write: torch wants writable memory, and nothing ever writes to the file
    pixels = np.memmap(path, dtype=np.uint8, mode="c")
    items: list[Item] = []
    made_bytes = 0
    for entry in header.entries:
        items.append(_item(task, entry, pixels, path))
        if header.kind is None and items[-1].lq is not None:  # shrunk just now, into memory
            made_bytes += items[-1].lq.nbytes
            if made_bytes > images.MAX_DECODED_BYTES:
                raise DataError(
                    f"{path}: packed without low-quality images for {task.kind}, which would take "
                    f"too much memory; pack the folder again with --task {task.kind}"
                )
    return Source(tuple(items), tuple(header.notes))


def _write(task: Task, folder: Path, file: BinaryIO) -> int:
    file.write(_MAGIC + _PLACE.pack(0, 0))
    entries: list[_Entry] = []
    notes: list[str] = []
    last: tuple[Tensor, _Block] | None = None
    digest = hashlib.sha256()
    for found in walk(task, folder):
        if isinstance(found, str):
            notes.append(found)
            continue
        if last is None or last[0] is not found.gt:  # neighbours may share their truth
            last = (found.gt, _write_block(file, found.gt, digest))
        lq = None if found.lq is None else _write_block(file, found.lq, digest)
        entries.append(_Entry(name=found.name, scene=found.scene, gt=last[1], lq=lq))
    if not entries:
        reasons = f": {'; '.join(notes[:3])}" if notes else ""
        raise DataError(f"{folder}: no usable image in this folder{reasons}")
    kind = None if entries[0].lq is None else task.kind
    header = _Header(
        kind=kind,
        entries=entries,
        notes=notes,
        channels=task.channels,
        sha256=digest.hexdigest(),
    )
    text = header.model_dump_json().encode()
    place = _PLACE.pack(file.tell(), len(text))
    file.write(text)
    file.seek(len(_MAGIC))
    file.write(place)
    return len(entries)


def _write_block(file: BinaryIO, image: Tensor, digest: hashlib._Hash) -> _Block:
    block = _Block(offset=file.tell(), height=image.shape[-2], width=image.shape[-1])
    pixels = image.contiguous().numpy().tobytes()
    digest.update(pixels)
    file.write(pixels)
    return block


def _read_header(path: Path) -> tuple[_Header, int]:
    """The header, and where it begins: the images lie before it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_START)
        if not start.startswith(_MAGIC) or len(start) < _START:
            raise DataError(f"{path}: not a packed data set; give a folder, or pack one first")
        offset, length = _PLACE.unpack(start[len(_MAGIC) :])
        if offset < _START or offset + length != size:
            raise DataError(f"{path}: the pack is damaged or cut short; pack the folder again")
        file.seek(offset)
        text = file.read(length)
    try:
        return _Header.model_validate_json(text), offset
    except pydantic.ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DataError(f"{path}: the pack's header is damaged ({reason})") from error


def _check_blocks(header: _Header, size: int, path: Path) -> None:
    with_lq = sum(entry.lq is not None for entry in header.entries)
    blocks = [block for entry in header.entries for block in (entry.gt, entry.lq) if block]
    if (
        not header.entries
        or any(block.end(header.channels) > size for block in blocks)
        or with_lq != (len(header.entries) if header.kind else 0)
    ):
        raise DataError(f"{path}: the pack's header does not fit its images; pack the folder again")


def _item(task: Task, entry: _Entry, pixels: np.ndarray, path: Path) -> Item:
    gt = _view(pixels, entry.gt, task.channels)
    if entry.lq is None and min(gt.shape[-2:]) >= task.scale:
        return prepare(task, Item(entry.name, entry.scene, gt, None))
    lq = None if entry.lq is None else _view(pixels, entry.lq, task.channels)
    if lq is None or gt.shape[-2:] != (lq.shape[-2] * task.scale, lq.shape[-1] * task.scale):
        raise DataError(
            f"{path}: the image {entry.name} does not fit task {task.kind}; pack the folder again "
            f"with --task {task.kind}"
        )
    return Item(entry.name, entry.scene, gt, lq)


def _view(pixels: np.ndarray, block: _Block, channels: int) -> Tensor:
    flat = torch.from_numpy(pixels[block.offset : block.end(channels)])
    return flat.view(channels, block.height, block.width)


def fingerprint(path: Path) -> str:
    """Return what shows whether two machines see the same: how many files of how many bytes.

    Of a packed file, the checksum that it was packed with; `data check` finds later damage.
    """
    if not path.exists():
        return "missing"
    if is_pack(path):
        packed = packed_checksum(path)
        return f"a pack of {path.stat().st_size:,} bytes" + (f", {packed[:12]}" if packed else "")
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    return f"{len(files)} file{'s' * (len(files) != 1)} of {size:,} bytes"
