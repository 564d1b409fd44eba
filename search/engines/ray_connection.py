"""Connect to a Ray cluster, or start one on this machine for the time; report nothing to anybody.

Ray reads its switches from the environment when it is imported, so they are set before.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightir_core.errors import SearchError, first_line

QUIET = {
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
"""No usage statistics, no loggers, no notes on what is deprecated."""

REACH_S = 5.0
"""How long the head of a cluster may take to answer."""

STORE_BYTES = 150 * 2**20
"""Shared memory of a cluster of our own: what passes through it is small."""


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
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    local = {"num_cpus": cpus, "include_dashboard": dashboard, "object_store_memory": STORE_BYTES}
    _check_address(address)
    try:
        ray.init(address=address or "local", **quiet, **({} if address else local))
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise SearchError(_refused(address, error)) from None
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


def _check_address(address: str | None) -> None:
    """Find out in seconds what Ray itself would need minutes for."""
    if address in (None, "auto"):
        return
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or "/" in host:
        raise SearchError(
            f"address {address!r} is none of a cluster; give auto, or HOST:PORT of its head as "
            f"`ray start --head --port=6379` was told"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except OSError as error:
        raise SearchError(
            f"no cluster at {address} ({error.strerror or error}); start one with "
            f"`ray start --head --port={port}` there, or leave --address out to use this machine"
        ) from None


def _refused(address: str | None, error: Exception) -> str:
    if address is None:
        return f"Ray did not start on this machine: {first_line(error)}"
    if address == "auto" and isinstance(error, ConnectionError):
        return (
            "this machine belongs to no cluster (--address auto); join one with "
            "`ray start --address=HOST:PORT`, or leave --address out to use this machine alone"
        )
    return (
        f"the cluster at {address} refuses: {first_line(error)}; the driver must run on a node of "
        f"the cluster, with the same Python, Ray and RAY_AUTH_TOKEN"
    )
