"""What the nodes of a cluster are like, and which of them may train: asked before the first trial.

Every node gets one small task: which versions are there, does it see the images as the driver
does, can it write into the run folder.
"""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from lightir_core.data.folders import parse_folder
from lightir_core.data.pack import is_pack, packed_checksum
from lightir_core.errors import SearchError
from search.engines.ray_connection import import_ray
from search.jobs import Source

ANSWER_S = 60.0
"""How long a node may take: the first task on it loads torch."""

PACKAGES = ("lightir_core", "spaces", "budgets", "results", "search")


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What is known of a node.

    Attributes:
        id: Ray's name of it.
        name: for people: the host's name, with its address where several share one.
        address: of the network.
        cpus: that Ray may give away there.
        gpus: that Ray may give away there.
        versions: by library; that of lightir ends with a digest of its source.
        missing: what the node does not see as the driver does, in words.
        hardware: names of its GPUs, else of its processor.
        step_seconds: what the `step` of `inspect_nodes` returned there.
        error: why the node could not be asked, or None.
    """

    id: str
    name: str
    address: str
    cpus: float
    gpus: float
    versions: dict[str, str] = field(default_factory=dict[str, str])
    missing: tuple[str, ...] = ()
    hardware: str = ""
    step_seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a node says of itself."""

    versions: dict[str, str]
    missing: tuple[str, ...]
    hardware: str
    step_seconds: float | None


def inspect_nodes(
    source: Source | None = None,
    folder: Path | None = None,
    step: Callable[[], float] | None = None,
    answer_s: float = ANSWER_S,
) -> tuple[NodeReport, ...]:
    """Ask every living node of the cluster that this process is connected to, all at once.

    Args:
        source: images that each must see as this process does.
        folder: must be the same, and open for writing, on each; made if it is not there.
        step: run on each, with one of its GPUs if it has any; seconds of a training step.
        answer_s: a node that says nothing for so long is told with an error.
    """
    ray = import_ray()
    pin = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = sorted((n for n in ray.nodes() if n["Alive"]), key=lambda n: n["NodeManagerAddress"])
    seen = {path: fingerprint(path) for path in paths_of(source)} if source else {}
    with _Sign(folder) as sign:
        asked = {
            node["NodeID"]: ray.remote(look)
            .options(
                num_cpus=0,
                num_gpus=1 if step and node["Resources"].get("GPU") else 0,
                max_retries=0,
                scheduling_strategy=pin(node["NodeID"], soft=False),
            )
            .remote(seen, sign, step)
            for node in nodes
        }
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=answer_s)
        hosts = [node["NodeManagerHostname"] for node in nodes]
        return tuple(
            _reported(node, hosts, _answer(asked[node["NodeID"]], answer_s)) for node in nodes
        )


def look(seen: dict[Path, str], sign: Path | None, step: Callable[[], float] | None) -> Facts:
    """What there is to say of the node on which this runs.

    Args:
        seen: what the driver sees of each path, as `fingerprint` tells it.
        sign: a file that the driver wrote into the run folder, or None.
        step: see `inspect_nodes`.
    """
    missing = [told for path, there in seen.items() if (told := _compared(path, there))]
    if sign is not None:
        missing += _folder_told(sign)
    return Facts(versions_here(), tuple(missing), _hardware(), step() if step else None)


def versions_here() -> dict[str, str]:
    """Versions that have to be the same on all nodes."""
    ray = import_ray()
    try:
        ours = metadata.version("lightir")
    except metadata.PackageNotFoundError:  # a checkout
        ours = "0"
    return {
        "lightir": f"{ours}+{_source_digest()}",
        "torch": torch.__version__,
        "ray": ray.__version__,
        "python": platform.python_version(),
    }


def check_versions(reports: Sequence[NodeReport]) -> None:
    """Refuse a cluster on which the same training would not give the same result.

    CPU and CUDA builds of one torch may stand side by side.

    Raises:
        SearchError: a node has another version than this process; nodes and versions are named.
    """
    here = versions_here()
    wrong = [
        f"{report.name} has {name} {report.versions.get(name, 'missing')}"
        for report in reports
        if not report.error
        for name, version in here.items()
        if _public(name, report.versions.get(name, "")) != _public(name, version)
    ]
    if wrong:
        names = {text.split(" has ")[1].split()[0] for text in wrong}
        ours = ", ".join(f"{name} {here[name]}" for name in here if name in names)
        raise SearchError(
            f"versions differ between the nodes: {'; '.join(wrong)}; here it is {ours}; install "
            f"the same on all of them"
        )


def usable_nodes(reports: Iterable[NodeReport]) -> tuple[tuple[NodeReport, ...], tuple[str, ...]]:
    """The nodes that may train, and a sentence on each that is left out.

    Raises:
        SearchError: none is left.
    """
    usable: list[NodeReport] = []
    notes: list[str] = []
    for report in reports:
        why = report.error or "; ".join(report.missing)
        if why:
            notes.append(f"node {report.name} is left out: {why}")
        else:
            usable.append(report)
    if not usable:
        raise SearchError("no node can train: " + "; ".join(notes))
    return tuple(usable), tuple(notes)


def places(reports: Iterable[NodeReport], cpus: float, gpus: float) -> int:
    """How many trainings of `cpus` and `gpus` each fit on the nodes at the same time."""
    return sum(_fitting(report, cpus, gpus) for report in reports)


def paths_of(source: Source) -> tuple[Path, ...]:
    """Everything that a training reads images from."""
    found = [parse_folder(text).path for text in source.data]
    return (*found, *([Path(source.val)] if source.val else []))


def fingerprint(path: Path) -> str:
    """What tells whether two nodes see the same: how many files of how many bytes.

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


def _fitting(report: NodeReport, cpus: float, gpus: float) -> int:
    by_cpu = int(report.cpus / cpus + 1e-9) if cpus else None
    # Ray puts a share on one card: two shares of 0.6 do not fit on one
    by_gpu = None
    if gpus:
        by_gpu = int(report.gpus) * int(1 / gpus + 1e-9) if gpus < 1 else int(report.gpus // gpus)
    return min((n for n in (by_cpu, by_gpu) if n is not None), default=1)


def _public(name: str, version: str) -> str:
    return version.partition("+")[0] if name == "torch" else version


def _compared(path: Path, there: str) -> str | None:
    """A complaint if this node does not see what the driver sees."""
    here = fingerprint(path)
    if here == there:
        return None
    return f"{path} is missing" if here == "missing" else f"{path} holds {here}, not {there}"


def _folder_told(sign: Path) -> list[str]:
    if not sign.exists():
        return [
            f"the run folder {sign.parent} is not shared with it; put it on a disk that all nodes "
            f"see, or give --storage"
        ]
    return [] if os.access(sign.parent, os.W_OK) else [f"it may not write into {sign.parent}"]


def _hardware() -> str:
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
        return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    return f"{os.cpu_count()} cores, {platform.machine()}"


def _source_digest() -> str:
    """Eight digits of the source of all packages: an edited checkout is another version."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def _answer(asked: Any, answer_s: float) -> Facts | str:  # noqa: ANN401  a reference of Ray's
    """What the node said, or why it said nothing."""
    ray = import_ray()
    try:
        return ray.get(asked, timeout=0.1)
    except ray.exceptions.GetTimeoutError:
        ray.cancel(asked, force=True)
        return f"it did not answer within {answer_s:.0f} s"
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ModuleNotFoundError):
            return f"{error.cause.name} is not installed there"
        return f"{type(error.cause).__name__}: {error.cause}".splitlines()[0]
    except ray.exceptions.RayError as error:
        return str(error).strip().splitlines()[0]


def _reported(node: dict[str, Any], hosts: Sequence[str], answer: Facts | str) -> NodeReport:
    host, address = node["NodeManagerHostname"], node["NodeManagerAddress"]
    known = {
        "id": node["NodeID"],
        "name": host if hosts.count(host) == 1 else f"{host} ({address}, {node['NodeID'][:6]})",
        "address": address,
        "cpus": node["Resources"].get("CPU", 0.0),
        "gpus": node["Resources"].get("GPU", 0.0),
    }
    if isinstance(answer, str):
        return NodeReport(**known, error=answer)
    return NodeReport(
        **known,
        versions=answer.versions,
        missing=answer.missing,
        hardware=answer.hardware,
        step_seconds=answer.step_seconds,
    )


class _Sign:
    """A file in the run folder by which nodes recognise it, as long as the context lasts."""

    def __init__(self, folder: Path | None) -> None:
        self._made = folder is not None and not folder.exists()
        self._file = folder and folder.resolve() / f".seen-by-{socket.gethostname()}-{os.getpid()}"

    def __enter__(self) -> Path | None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch()
        return self._file

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            if self._made:
                with suppress(OSError):  # somebody has put something into it
                    self._file.parent.rmdir()
