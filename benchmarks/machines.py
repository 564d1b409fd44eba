"""A Ray cluster of several nodes on one machine, each with a network namespace of its own.

So nodes have addresses, a cable that can be pulled, and can be switched off whole, as machines can;
what they share is the disk. Making namespaces needs root.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lightir_core.errors import RunFailedError, SearchError
from search.engines.ray_nodes import QUIET

PORT = 6379
JOIN_S = 300.0
OFF_S = 60.0
STORE_BYTES = 100 * 2**20


@dataclass(frozen=True)
class Machine:
    """A node: number 0 is the head."""

    number: int
    space: str
    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def cable(self) -> str:
        """The end of its network cable that is on this side."""
        return f"v{self.space}"


class Machines:
    """A head without processors for trials, and `count` nodes with `cpus` each."""

    def __init__(self, count: int, cpus: int = 1) -> None:
        """Nothing is made yet.

        Raises:
            SearchError: this user may not make network namespaces, or `ip` is missing.
        """
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise SearchError(
                "nodes with a network of their own need root and the program `ip` (iproute2); run "
                "this as root, as in a container"
            )
        # names of the last ones may still be taken: the system deletes them in its own time
        tag, subnet = secrets.token_hex(2), 1 + secrets.randbelow(250)
        self._bridge, self._subnet, self._cpus = f"lir{tag}", subnet, cpus
        self.nodes = [
            Machine(number, f"lir{tag}n{number}", f"10.77.{subnet}.{number + 1}")
            for number in range(count + 1)
        ]
        # a token of our own: with another in a file of the user's, nodes would not join
        self.environment = {
            **os.environ,
            **QUIET,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }

    @property
    def address(self) -> str:
        """Of the cluster."""
        return f"{self.nodes[0].address}:{PORT}"

    def __enter__(self) -> Self:
        """Lay the cables and start all nodes."""
        try:
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("link", "set", self._bridge, "up")
            for node in self.nodes:
                self._wire(node)
            head = self.nodes[0]
            self._ray(head, "--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false")
            wait_for(lambda: _listens(head), JOIN_S, "the head of the cluster does not start")
            for node in self.nodes[1:]:  # two that start in the same moment get in each other's way
                self._join(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Switch everything off."""
        for node in self.nodes:
            with contextlib.suppress(SearchError, OSError):
                self.kill(node)
                _ip("netns", "del", node.space)
        with contextlib.suppress(SearchError):
            _ip("link", "del", self._bridge)

    def start(self, node: Machine) -> None:
        """Let a node join."""
        self._ray(node, f"--address={self.address}", f"--num-cpus={self._cpus}")

    def kill(self, node: Machine) -> None:
        """Switch a node off, with everything that runs on it.

        Raises:
            RunFailedError: something on it does not end.
        """

        def off() -> bool:
            # a killed process ends in its own time, and may have started another one before
            pids = self.pids(node)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not pids

        wait_for(off, OFF_S, f"node {node.number} is not off")
        for process in node.processes:
            process.wait()
        node.processes.clear()

    def unplug(self, node: Machine) -> None:
        """Pull a node's cable."""
        _ip("link", "set", node.cable, "down")

    def plug(self, node: Machine) -> None:
        """Put it back."""
        _ip("link", "set", node.cable, "up")

    def pids(self, node: Machine, name: str = "") -> list[int]:
        """Processes on a node, those with this name in their command line."""
        running = map(int, _ip("netns", "pids", node.space).split())
        return [pid for pid in running if name in _command_line(pid)]

    def run(
        self, arguments: Sequence[str], log: Path, cwd: Path, node: int = 0
    ) -> subprocess.Popen[bytes]:
        """Start a program on a node; what it writes goes into `log`."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [*self._on(self.nodes[node]), *arguments],
                cwd=cwd,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def alive(self) -> int:
        """Return how many nodes the head knows."""
        code = (
            f"import ray; ray.init(address={self.address!r}, log_to_driver=False, "
            f"logging_level='CRITICAL'); print('alive', sum(n['Alive'] for n in ray.nodes()))"
        )
        done = subprocess.run(
            [*self._on(self.nodes[0]), sys.executable, "-c", code],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        count = re.search(r"^alive (\d+)$", done.stdout, re.MULTILINE)
        return int(count[1]) if count else 0

    def _join(self, node: Machine) -> None:
        """Start a node, again if it gives up, which it does on a machine with much else to do."""
        self.start(node)

        def there() -> bool:
            if node.processes[-1].poll() is not None:
                self.start(node)
            return self.alive() > node.number

        wait_for(there, JOIN_S, f"node {node.number} does not join")

    def _wire(self, node: Machine) -> None:
        _ip("netns", "add", node.space)
        _ip("link", "add", node.cable, "type", "veth", "peer", "name", "eth0", "netns", node.space)
        _ip("link", "set", node.cable, "master", self._bridge, "up")
        _ip("-n", node.space, "addr", "add", f"{node.address}/24", "dev", "eth0")
        _ip("-n", node.space, "link", "set", "eth0", "up")
        _ip("-n", node.space, "link", "set", "lo", "up")

    def _ray(self, node: Machine, *arguments: str) -> None:
        common = (
            f"--node-ip-address={node.address}",
            "--num-gpus=0",
            f"--object-store-memory={STORE_BYTES}",
            "--disable-usage-stats",
            "--block",
        )
        name = f'hostname node{node.number}; exec "$@"'
        program = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, *common]
        node.processes.append(
            subprocess.Popen(
                [*self._on(node), "unshare", "--uts", "sh", "-c", name, "sh", *program],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        )

    def _on(self, node: Machine) -> list[str]:
        return ["ip", "netns", "exec", node.space]


def wait_for(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    """Wait until it holds.

    Raises:
        RunFailedError: the complaint, after so many seconds.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RunFailedError(f"{complaint} within {seconds:.0f} s")
        time.sleep(0.1)


def _listens(node: Machine) -> bool:
    done = subprocess.run(
        ["ip", "netns", "exec", node.space, sys.executable, "-c", _KNOCK, node.address, str(PORT)],
        capture_output=True,
    )
    return done.returncode == 0


_KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()"


def _command_line(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return text.replace(b"\0", b" ").decode(errors="replace")


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SearchError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout
