"""The real command, in a folder of its own, on small real photographs."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from filelock import FileLock
from PIL import Image

from lightir_core.errors import ResultsError
from results.study import Record
from search.cli import app

ROOT = Path(__file__).parents[2]

# `python -m search` on one core, and so with one thread for each worker, however many there are:
# sums are then rounded equally in all runs, and no threads spin while they wait for each other;
# each worker of pytest-xdist has another core
ON_ONE_CORE = """
import os, sys
cores = sorted(os.sched_getaffinity(0))
worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.sched_setaffinity(0, {cores[-1 - worker % len(cores)]})
os.execv(sys.executable, [sys.executable, "-m", "search", *sys.argv[1:]])
"""
COMMAND = (sys.executable, "-c", ON_ONE_CORE)

TINY = str(ROOT / "tests" / "data" / "tiny.yaml")

# few and short trainings of tiny networks; all in one process, and no end before the last trial
QUICK = (
    "--space", TINY, "--budget", "10k", "--steps", "3", "--finish-steps", "3",
    "--finalists", "1", "--time", "0", "--workers", "1", "--device", "cpu",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def complaint(self):
        """What stderr says, as one line."""
        return " ".join(self.err.split())


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


@pytest.fixture(scope="session")
def command():
    """Run `python -m search ...` in a folder, to its end."""

    def run(*arguments, cwd):
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def main():
    """The same without a new process: what `main` does with a command line in a folder."""

    def run(*arguments, cwd):
        status, out, err = 0, io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            patch.dict(os.environ, COLUMNS="200"),
            patch.object(sys, "argv", ["search", *map(str, arguments)]),
        ):
            try:
                app.main()
            except SystemExit as ended:
                status = ended.code or 0
        return Ended(status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def in_process(main, tmp_path):
    """`main` in the folder of the test."""
    return lambda *arguments, cwd=tmp_path: main(*arguments, cwd=cwd)


@pytest.fixture
def started():
    """Start `python -m search ...` in a session of its own; it is killed in the end."""
    processes = []

    def start(*arguments, cwd):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def three_photographs(tmp_path_factory, photograph):
    """A folder with three small crops; one of them is held out for validation."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        Image.fromarray(photograph(number)).save(folder / f"crop{number}.png")
    return folder


@pytest.fixture(scope="session")
def search_arguments(three_photographs):
    """`run` in the folder `run`, as quick as can be; two generations, the second incomplete."""
    return ("run", *QUICK, "--trials", "11", "--data", three_photographs, "--out", "run")


@pytest.fixture(scope="session")
def finished(command, search_arguments, tmp_path_factory):
    """The folder above a finished run called `run`, and how the command ended; read it only.

    The first worker of pytest-xdist that needs it makes it, for all of them.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    told = folder / "ended.json"
    with FileLock(f"{folder}.lock"):
        if not told.exists():
            folder.mkdir()
            ended = command(*search_arguments, "--presets", "--json", cwd=folder)
            told.write_text(json.dumps(asdict(ended)))
    return folder, Ended(**json.loads(told.read_text()))


@pytest.fixture(scope="session")
def wait_for():
    """Wait until `condition` holds while `process`, if given, lives; whether it came to hold."""

    def wait(process, condition, seconds=240):
        end = time.monotonic() + seconds
        while time.monotonic() < end and (process is None or process.poll() is None):
            if condition():
                return True
            time.sleep(0.02)
        return condition()

    return wait


@pytest.fixture(scope="session")
def trials_of():
    """What the record of a run says, timestamps and durations aside."""

    def read(folder):
        try:
            trials = Record.open(folder).trials()
        except ResultsError:  # not there yet
            return []
        return [
            (t.number, t.state, t.architecture.id, dict(t.choices), dict(t.cost), dict(t.scores),
             t.curve, t.reason)
            for t in trials
        ]  # fmt: skip

    return read
