"""Connect to a Ray cluster, or start one here, and inspect its nodes: which may train, and why.

Ray reads its switches from the environment when it is imported, so they are set before.
"""

import hashlib
import logging
import os
import platform
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from lightir_core.data.image_source import ImageSource
from lightir_core.data.pack import fingerprint
from lightir_core.errors import SearchError, first_line

QUIET = {  # no usage statistics, no loggers, no notes on what is deprecated
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # the study is the record, not Tune's snapshots
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # all workers start at once
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "RAY_ENABLE_AUTO_CONNECT": "0",  # who has left a cluster is not to start another
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

REACH_S = 5.0  # for the head of a cluster to answer
STORE_BYTES = 150 * 2**20  # shared by a cluster of our own: what passes through it is small


@contextmanager
def connected(
    address: str | None, *, cpus: int | None = None, dashboard: bool = False
) -> Iterator[None]:
    """Be connected until the end; a connection that is there already is used and left.

    Args:
        address: "auto" for the cluster that this machine belongs to, HOST:PORT of its head, or None
            to start one on this machine alone, which ends with the context.
        cpus: of that one; None is one per core.
        dashboard: start Ray's dashboard with that one.

    Raises:
        SearchError: Ray is not installed, there is no cluster at the address, or it refuses.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    # what Ray says of dead processes is ours to say, in a line each
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    # it has no switch for this: a thread of its own writes paragraphs to stdout
    ray._private.worker.print_to_stdstream = lambda data, ignore_prefix: None
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        how |= {
            "num_cpus": cpus,
            "include_dashboard": dashboard,
            "object_store_memory": STORE_BYTES,
        }
    elif address != "auto":
        _check_head(address)
    try:
        ray.init(address=address or "local", **how)
    except (OSError, RuntimeError, ValueError) as error:
        why = (
            f"the cluster at {address} refuses: {first_line(error)}; the driver must run on a node "
            f"of the cluster, with the same Python, Ray and RAY_AUTH_TOKEN"
        )
        if address is None:
            why = f"Ray did not start on this machine: {first_line(error)}"
        elif address == "auto" and isinstance(error, ConnectionError):
            why = (
                "this machine belongs to no cluster (--address auto); join one with "
                "`ray start --address=HOST:PORT`, or leave --address out to use this machine alone"
            )
        raise SearchError(why) from None
    try:
        yield
    finally:
        ray.shutdown()


def import_ray() -> Any:  # noqa: ANN401  a module that may not be there
    """Return Ray, kept quiet before it is loaded; what the user has set stays."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise SearchError(
            "the engine ray needs Ray, which is not installed; install it: pip install "
            "'lightir[ray]'"
        ) from None
    return ray


def _check_head(address: str) -> None:
    """Find out in seconds what Ray itself would need minutes for."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or "/" in host:
        raise SearchError(
            f"address {address!r} is none of a cluster; give auto, or HOST:PORT of its head"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except OSError as error:
        raise SearchError(
            f"no cluster at {address} ({error.strerror or error}); start one with "
            f"`ray start --head --port={port}` there, or leave --address out to use this machine"
        ) from None


ANSWER_S = 180.0  # for a node: the first task on it loads torch, a minute where others work

PACKAGES = ("lightir_core", "spaces", "budgets", "results", "search")


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What is known of a node.

    Attributes:
        name: the host's, with its address where several share one.
        cpus: that Ray may give away there, as `gpus`.
        versions: by library; that of lightir ends with a digest of its source.
        missing: what the node does not see as the driver does, in words.
        step_seconds: of a training step, if one was asked for.
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

    @property
    def fault(self) -> str:
        """Return why it may not train; empty if it may."""
        return self.error or "; ".join(self.missing)

    def capacity(self, cpus: float, gpus: float) -> int:
        """Return how many trainings of `cpus` and `gpus` each fit on it at the same time."""
        fits = [int(self.cpus / cpus + 1e-9)] if cpus else []
        if gpus:  # Ray puts a share on one card: two shares of 0.6 do not fit on one
            fits += [int(self.gpus // gpus) if gpus >= 1 else int(self.gpus) * int(1 / gpus + 1e-9)]
        return min(fits, default=1)


def inspect_nodes(
    source: ImageSource | None = None,
    folder: Path | None = None,
    step: Callable[[], float] | None = None,
    answer_s: float = ANSWER_S,
) -> tuple[NodeReport, ...]:
    """Ask every living node of the cluster that this process is connected to, all at once.

    Args:
        source: images that each must see as this process does.
        folder: must be the same, and open for writing, on each; made if it is not there.
        step: run on each, with one of its GPUs if it has any; returns the seconds of a training
            step.
        answer_s: a node that says nothing for so long is reported with an error.
    """
    ray = import_ray()
    pin = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    nodes = sorted((n for n in ray.nodes() if n["Alive"]), key=lambda n: n["NodeManagerAddress"])
    seen = {path: fingerprint(path) for path in source.paths} if source else {}
    with _probe(folder) as probe:
        asked = [
            ray.remote(look)
            .options(
                num_cpus=0,
                num_gpus=1 if step and node["Resources"].get("GPU") else 0,
                max_retries=0,
                scheduling_strategy=pin(node["NodeID"], soft=False),
            )
            .remote(seen, probe, step)
            for node in nodes
        ]
        ray.wait(asked, num_returns=len(asked), timeout=answer_s)
        answers = [_answer(each, answer_s) for each in asked]
    reports: list[NodeReport] = []
    hosts = [node["NodeManagerHostname"] for node in nodes]
    for node, host, answer in zip(nodes, hosts, answers, strict=True):
        where, full = node["NodeManagerAddress"], node["Resources"]
        name = host if hosts.count(host) == 1 else f"{host} ({where}, {node['NodeID'][:6]})"
        room = {"cpus": full.get("CPU", 0.0), "gpus": full.get("GPU", 0.0)}
        reports.append(NodeReport(id=node["NodeID"], name=name, address=where, **room, **answer))
    return tuple(reports)


def look(
    seen: dict[Path, str], probe: Path | None, step: Callable[[], float] | None
) -> dict[str, Any]:
    """Return what a report says of the node on which this runs.

    `seen` holds what the driver sees of each path, `probe` is a file of its in the run folder.
    """
    here = {path: fingerprint(path) for path in seen}
    missing = [
        f"{path} is missing" if here[path] == "missing" else f"{path} holds {here[path]}, not {it}"
        for path, it in seen.items()
        if here[path] != it
    ]
    if probe is not None and not probe.exists():
        missing.append(
            f"the run folder {probe.parent} is not shared with it; put it on a disk that all nodes "
            f"see, or give --storage"
        )
    elif probe is not None and not os.access(probe.parent, os.W_OK):
        missing.append(f"it may not write into {probe.parent}")
    hardware = f"{os.cpu_count()} cores, {platform.machine()}"
    if torch.cuda.is_available():
        names = Counter(map(torch.cuda.get_device_name, range(torch.cuda.device_count())))
        hardware = ", ".join(f"{count} x {name}" for name, count in names.items())
    return {
        "versions": versions_here(),
        "missing": tuple(missing),
        "hardware": hardware,
        "step_seconds": step() if step else None,
    }


def versions_here() -> dict[str, str]:
    """Return the versions that have to be the same on all nodes.

    That of lightir ends with eight digits of the source: an edited checkout is another version.
    """
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for file in (path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))):
        digest.update(str(file.relative_to(root)).encode())
        digest.update(file.read_bytes())
    version = "0"  # a checkout
    with suppress(metadata.PackageNotFoundError):
        version = metadata.version("lightir")
    return {
        "lightir": f"{version}+{digest.hexdigest()[:8]}",
        "torch": torch.__version__,
        "ray": import_ray().__version__,
        "python": platform.python_version(),
    }


def check_versions(reports: Sequence[NodeReport]) -> None:
    """Refuse a cluster on which the same training would not give the same result.

    CPU and CUDA builds of one torch may stand side by side.

    Raises:
        SearchError: a node has another version than this process; nodes and versions are named.
    """
    here, names = versions_here(), dict[str, str]()
    wrong: list[str] = []
    for report in (report for report in reports if not report.error):
        for name, version in here.items():
            theirs = report.versions.get(name, "missing")
            build = "+" if name == "torch" else "\n"
            if theirs.partition(build)[0] != version.partition(build)[0]:
                names[name] = version
                wrong.append(f"{report.name} has {name} {theirs}")
    if wrong:
        ours = ", ".join(f"{name} {version}" for name, version in names.items())
        raise SearchError(
            f"versions differ between the nodes: {'; '.join(wrong)}; here it is {ours}; install "
            f"the same on all of them"
        )


def usable_nodes(reports: Sequence[NodeReport]) -> tuple[tuple[NodeReport, ...], tuple[str, ...]]:
    """Return the nodes that may train, and a sentence on each that is left out.

    Raises:
        SearchError: none is left.
    """
    usable = tuple(report for report in reports if not report.fault)
    notes = tuple(f"node {each.name} is left out: {each.fault}" for each in reports if each.fault)
    if not usable:
        raise SearchError("no node can train: " + "; ".join(notes))
    return usable, notes


def _answer(asked: Any, answer_s: float) -> dict[str, Any]:  # noqa: ANN401  a reference of Ray's
    """Return what the node said, or why it said nothing."""
    ray = import_ray()
    try:
        return ray.get(asked, timeout=0.1)
    except ray.exceptions.GetTimeoutError:
        ray.cancel(asked, force=True)
        return {"error": f"it did not answer within {answer_s:.0f} s"}
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, ModuleNotFoundError):
            return {"error": f"{cause.name} is not installed there"}
        return {"error": f"{type(cause).__name__}: {cause}" if cause else first_line(error)}


@contextmanager
def _probe(folder: Path | None) -> Iterator[Path | None]:
    """Keep a file in the run folder by which nodes recognise it, as long as the context lasts."""
    if folder is None:
        yield None
        return
    made, root = not folder.exists(), folder.resolve()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=root, prefix=f".seen-by-{socket.gethostname()}-") as probe:
        yield Path(probe.name)
    if made:
        with suppress(OSError):  # somebody has put something into it
            root.rmdir()
