"""The price of an architecture: parameters and MACs of its parts, each traced once and kept.

One file per version of the code that is priced: JSON lines of a key, its numbers and a checksum.
Records are appended, each in a single write, so processes may share the file. A line that is cut
off, foreign or damaged is passed over and its part measured again; a folder that cannot be written
to leaves the memory half at work.

A stage is priced once per width and feature size. After that an architecture costs a few dictionary
lookups: by the identity of the stage's object first, by its value when that object is new.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, lru_cache
from math import lcm
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

import budgets
import lightir_core
from budgets.budget import Cost, Size
from budgets.parts import (
    Part,
    Use,
    build_part,
    cross_parts,
    feature_size,
    part_inputs,
    skeleton_parts,
    stage_parts,
)
from budgets.trace import count_macs
from lightir_core.architecture import Architecture, StageConfig

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


PARTS_WORTH_A_PROCESS = 500
REMEMBERED_OBJECTS = 2**18


class StageCost(NamedTuple):
    """What one stage adds to the cost of its network.

    Attributes:
        shared_params: of blocks and closing convolution; stages that share weights count them once.
        slot_params: of the cross-layer slot, which is never shared.
        macs: of everything, all passes.
    """

    shared_params: int
    slot_params: int
    macs: int


Features = tuple[int, int, int]
"""Width of the network, height and width of its feature map."""


class _Priced:
    """What is known about one stage: its window multiple, and its cost by feature map."""

    __slots__ = ("costs", "multiple", "stage")

    def __init__(self, stage: StageConfig) -> None:
        self.stage = stage
        self.costs: dict[Features, StageCost] = {}
        self.multiple = stage.window_multiple


_by_value: dict[StageConfig, _Priced] = {}
# the stage is kept beside its address, so that no other object can come to live there
_by_address: dict[int, tuple[StageConfig, _Priced]] = {}


def price(architecture: Architecture, size: Size) -> Cost:
    """Return parameters and MACs of `architecture` for an output of `size` pixels.

    The input is `size` divided by the scale, rounded up and padded as the network pads it. The
    optional axes of the cost stay empty.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    width, sharing = architecture.width, architecture.stage_sharing
    stages = [(_by_address.get(id(stage)) or _find(stage))[1] for stage in architecture.stages]
    multiple = lcm(*[stage.multiple for stage in stages])
    patch = architecture.stem.patch_size
    height, breadth = _sides(architecture.scale, patch, multiple, size.height, size.width)
    features = width, height, breadth
    params, macs = _skeleton(architecture, features)
    for number, stage in enumerate(stages):
        shared, slot, work = stage.costs.get(features) or _fill(stage, features)
        params += slot if number % sharing else slot + shared
        macs += work
    return Cost(params, macs)


def stage_cost(stage: StageConfig, width: int, size: Size) -> StageCost:
    """Return cost of one stage in a network of `width` channels on a feature map of `size`.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    _, priced = _by_address.get(id(stage)) or _find(stage)
    features = width, size.height, size.width
    return priced.costs.get(features) or _fill(priced, features)


def skeleton_cost(architecture: Architecture, size: Size) -> Cost:
    """Return cost of stem, body and tail around a feature map of `size`; the stages do not matter.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    return Cost(*_skeleton(architecture, (architecture.width, size.height, size.width)))


def _find(stage: StageConfig) -> tuple[StageConfig, _Priced]:
    """Return the entry of an equal stage, remembered for this object too."""
    priced = _by_value.get(stage)
    if priced is None:
        priced = _by_value[stage] = _Priced(stage)
    if len(_by_address) >= REMEMBERED_OBJECTS:
        _by_address.clear()
    entry = _by_address[id(stage)] = (stage, priced)
    return entry


def _fill(priced: _Priced, features: Features) -> StageCost:
    width, size = features[0], Size(*features[1:])
    body = _total(stage_parts(priced.stage, width, size))
    slot = _total(cross_parts(priced.stage, width, size))
    priced.costs[features] = StageCost(body.params, slot.params, body.macs + slot.macs)
    return priced.costs[features]


_skeletons: dict[tuple[object, ...], tuple[int, int]] = {}


def _skeleton(architecture: Architecture, features: Features) -> tuple[int, int]:
    """Return parameters and MACs of stem, body and tail."""
    key = (
        features,
        architecture.in_channels,
        architecture.out_channels,
        architecture.scale,
        architecture.stem,
        architecture.body,
        architecture.tail,
    )
    known = _skeletons.get(key)
    if known is None:
        cost = _total(skeleton_parts(architecture, Size(*features[1:])))
        known = _skeletons[key] = cost.params, cost.macs
    return known


def _total(uses: Iterable[Use]) -> Cost:
    total = Cost.zero()
    for use in uses:
        cost = part_cost(use.part, use.size)
        total += Cost(cost.params * use.copies, cost.macs * use.passes)
    return total


@lru_cache(maxsize=2**16)
def _sides(scale: int, patch: int, multiple: int, height: int, width: int) -> tuple[int, int]:
    size = feature_size(scale, patch, multiple, Size(height, width))
    return size.height, size.width


def part_cost(part: Part, size: Size) -> Cost:
    """Return cost of one part run once at a feature size; traced at the first question.

    Raises:
        BudgetError: the part performs an operation whose cost is not known.
    """
    key = part.key(size)
    known = cost_cache().get(key)
    if known is None or len(known) != 2:
        cost = trace_part(part, size)
        known = (cost.params, cost.macs)
        cost_cache().put(key, known)
    return Cost(*known)


def measure_parts(wanted: Sequence[tuple[Part, Size]], workers: int = 1) -> int:
    """Trace all parts that the cache does not know; how many those were.

    Args:
        wanted: parts, each at a feature size.
        workers: processes; a few parts are not worth the start of more than one.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    missing = [(part, size) for part, size in wanted if cost_cache().get(part.key(size)) is None]
    if workers < 2 or len(missing) < PARTS_WORTH_A_PROCESS * workers:
        for part, size in missing:
            part_cost(part, size)
        return len(missing)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        traced = pool.map(_trace, missing, chunksize=64)
        for (part, size), cost in zip(missing, traced, strict=True):
            cost_cache().put(part.key(size), (cost.params, cost.macs))
    return len(missing)


def _trace(wanted: tuple[Part, Size]) -> Cost:
    torch.set_num_threads(1)
    return trace_part(*wanted)


def trace_part(part: Part, size: Size) -> Cost:
    """Build the part on the meta device and watch it run; no memory, no arithmetic.

    Raises:
        BudgetError: the part performs an operation whose cost is not known.
    """
    with torch.device("meta"):
        module = build_part(part).eval()
        inputs = part_inputs(part, size)
        macs = count_macs(lambda: module(*inputs))
    return Cost(sum(p.numel() for p in module.parameters()), macs)
