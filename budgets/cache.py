"""What was measured once, kept in memory and on disk.

One file per version of the code that is priced: JSON lines of a key, its numbers and a checksum.
Records are appended, each in a single write, so processes may share the file. A line that is cut
off, foreign or damaged is passed over and its part measured again; a folder that cannot be written
to leaves the memory half at work.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import torch

import budgets
import lightir_core

Numbers = tuple[int, ...]

_PRICED = {
    lightir_core: ("architecture.py", "blocks/*.py", "stage.py", "network.py"),
    budgets: ("*.py",),
}


class CostCache:
    """Numbers by key; read from disk at the first question, appended to it by every answer."""

    def __init__(self, file: Path | None) -> None:
        """Keep records in `file`, or in memory alone when it is None."""
        self._file = file
        self._known: dict[str, Numbers] | None = None

    def get(self, key: str) -> Numbers | None:
        """Return the numbers stored under `key`, or None."""
        if self._known is None:
            self._known = dict(_read(self._file))
        return self._known.get(key)

    def put(self, key: str, numbers: Numbers) -> None:
        """Store `numbers` under `key`; the disk half gives up silently where it cannot write."""
        if self.get(key) == numbers or self._known is None:
            return
        self._known[key] = numbers
        try:
            _append(self._file, key, numbers)
        except OSError:
            self._file = None


def default_file(kind: str = "costs") -> Path | None:
    """Return the file of one kind of record, for this version of the code, in the user's cache."""
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(root) if root else Path.home() / ".cache"
    except RuntimeError:  # no home directory
        return None
    return folder / "lightir" / f"{kind}-{fingerprint()}.jsonl"


@cache
def cost_cache() -> CostCache:
    """Return the cache of this process, half of it on disk."""
    return CostCache(default_file())


@cache
def fingerprint() -> str:
    """Return sixteen hexadecimal digits that change with the priced code and with torch."""
    digest = hashlib.sha256(torch.__version__.encode())
    for file in _sources():
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _sources() -> Iterable[Path]:
    for package, patterns in _PRICED.items():
        folder = Path(package.__path__[0])
        for pattern in patterns:
            yield from sorted(folder.glob(pattern))


def _append(file: Path | None, key: str, numbers: Numbers) -> None:
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    # the leading line break parts this record from one that another process left unfinished
    record = f"\n{json.dumps([key, numbers, _checksum(key, numbers)])}\n".encode()
    with file.open("ab", buffering=0) as stream:
        stream.write(record)


def _read(file: Path | None) -> Iterator[tuple[str, Numbers]]:
    try:
        lines = file.read_bytes().split(b"\n") if file is not None else []
    except OSError:
        return
    for line in lines:
        record = _record(line)
        if record is not None:
            yield record


def _record(line: bytes) -> tuple[str, Numbers] | None:
    """Read key and numbers of one line; None if anything about it is not as it was written."""
    try:
        key, listed, checksum = json.loads(line)
        numbers = tuple(int(number) for number in listed)
        return (key, numbers) if checksum == _checksum(key, numbers) else None
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return None


def _checksum(key: str, numbers: Numbers) -> int:
    return zlib.crc32(f"{key} {numbers}".encode())
