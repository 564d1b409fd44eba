"""What a search survives on a cluster: real nodes, real trainings, and something dies.

Every search is the real command, `python -m search run --engine ray`, on the head of a cluster of
three nodes; it must end with the very trials of a search on this machine alone.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.harness import Row, log
from benchmarks.machines import Machines, wait_for
from lightir_core.data import photographs
from lightir_core.data.images import write_image
from lightir_core.errors import RunFailedError
from results.run import RunFolder
from results.study import Record
from results.trials import Trial
from search.config import known

TRIALS = 8
STEPS = 60
CROPS, CROP_PX = 3, 96
"""What is trained on: crops of an embedded photograph, so that all ends soon."""

ARGUMENTS = (
    "--space", "small", "--budget", "40k", "--trials", str(TRIALS), "--steps", str(STEPS),
    "--finalists", "1", "--finish-steps", "5", "--time", "0", "--keep", "0.5", "--device", "cpu",
)  # fmt: skip
CUT_S = 20.0
PATIENCE_S = 900.0
WORKER = "ray::Training"
"""What Ray calls the process of a trial of Tune."""


@dataclass
class _Scene:
    """A search that is going on."""

    machines: Machines
    folder: Path
    log: Path
    driver: subprocess.Popen[bytes]

    def start(self, *arguments: str) -> None:
        """Start the driver anew."""
        program = [sys.executable, "-m", "search", *arguments]
        self.driver = self.machines.run(program, self.log, Path.cwd())


def nothing(scene: _Scene) -> None:
    """Leave the cluster as it should be, for comparison."""


def kill_worker(scene: _Scene) -> None:
    """Kill a worker process on a node."""
    machines = scene.machines
    [pid, *_] = machines.pids(machines.nodes[1], WORKER)
    os.kill(pid, signal.SIGKILL)


def kill_node(scene: _Scene) -> None:
    """Switch a whole node off."""
    scene.machines.kill(scene.machines.nodes[1])


def kill_driver(scene: _Scene) -> None:
    """Kill the driver, and `resume`."""
    scene.driver.kill()
    scene.driver.wait()
    scene.start("resume", str(scene.folder))


def cut_network(scene: _Scene) -> None:
    """Pull a node's cable for 20 s."""
    node = scene.machines.nodes[1]
    scene.machines.unplug(node)
    time.sleep(CUT_S)
    scene.machines.plug(node)


def lose_storage(scene: _Scene) -> None:
    """Take the storage away for 20 s, and `resume` if that ended the search."""
    storage = _storage(scene.folder)
    storage.rename(away := storage.with_suffix(".away"))
    storage.touch()  # a file, so that nobody makes the folder anew
    time.sleep(CUT_S)
    storage.unlink()
    away.rename(storage)
    with suppress(subprocess.TimeoutExpired):
        if scene.driver.wait(CUT_S):
            scene.start("resume", str(scene.folder))


FAULTS: dict[str, Callable[[_Scene], None]] = {
    "none": nothing,
    "worker": kill_worker,
    "node": kill_node,
    "driver": kill_driver,
    "network": cut_network,
    "storage": lose_storage,
}


def measure(folder: Path, faults: Sequence[str], seed: int) -> list[Row]:
    """Search once on this machine alone, then on a cluster with each of the faults.

    Goes on where it was stopped.

    Args:
        folder: for the rows, the run folders and logs.
        faults: keys of `FAULTS`.
        seed: of the searches.

    Returns:
        For each `fault`: trials that had ended `before` it, and that ended well at last (`trials`);
        those that were `lost` or tried `twice`; whether all are `identical`, to the last bit, to
        those of a search on one machine alone; the `losses` of workers that the record holds;
        `seconds` from the fault to the end, report included, and the command's `status`.

    Raises:
        SearchError: an unknown fault, or a user who may not make nodes.
        RunFailedError: a search did not come to its end.
    """
    for name in faults:
        known("fault", name, FAULTS)
    alone, data = folder / "alone", str(_crops(folder / "crops"))
    log("a search on this machine alone")
    arguments = ("run", *ARGUMENTS, "--seed", str(seed), "--workers", "2", "--data", data)
    command = [sys.executable, "-m", "search", *arguments, "--out", str(alone)]
    if not RunFolder(alone).report.exists():
        subprocess.run(command, check=True, capture_output=True)
    steps = ((f"{n} {seed}", partial(_survived, folder / n, n, arguments, alone)) for n in faults)
    return harness.measure(folder / "faults.jsonl", steps)


def _crops(folder: Path) -> Path:
    pixels = photographs.training().images[0].pixels
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(CROPS):
        left = 170 + CROP_PX * number
        write_image(folder / f"{number}.png", pixels[:CROP_PX, left : left + CROP_PX])
    return folder


def _survived(folder: Path, name: str, arguments: Sequence[str], alone: Path) -> Row:
    for old in (folder, _storage(folder)):
        shutil.rmtree(old, ignore_errors=True)
    with Machines(2) as machines:
        output = folder.with_suffix(".log")
        scene = _Scene(machines, folder, output, subprocess.Popen(["true"]))
        cluster = ("--engine", "ray", "--address", machines.address, "--out", str(folder))
        if FAULTS[name] is lose_storage:
            cluster += ("--storage", str(_storage(folder)))
        scene.start(*arguments, *cluster)
        wait_for(lambda: _is_ripe(scene), PATIENCE_S, f"the search of {output} does not get going")
        before, begun = _ended(folder), time.monotonic()
        FAULTS[name](scene)
        status = scene.driver.wait(PATIENCE_S)
        seconds = time.monotonic() - begun
    trials = Record.open(folder).trials()
    after, ids = _ended(folder), [trial.architecture.id for trial in trials]
    return {
        "fault": (FAULTS[name].__doc__ or name).rstrip("."),
        "before": len(before),
        "trials": sum(trial.state == "finished" for trial in trials),
        "lost": sum(after.get(number) != story for number, story in before.items()),
        "twice": len(ids) - len(set(ids)),
        "identical": after == _ended(alone),
        "losses": [f"trial {t.number}: {'; '.join(t.losses)}" for t in trials if t.losses],
        "seconds": seconds,
        "status": status,
    }


def _storage(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-storage").resolve()


def _is_ripe(scene: _Scene) -> bool:
    """Return whether trials have ended, and all workers are in the middle of others."""
    if scene.driver.poll() is not None:
        raise RunFailedError(f"the search ended too early; see {scene.log}")
    kept = [*scene.folder.glob("checkpoints/*.state"), *_storage(scene.folder).rglob("*.state")]
    return len(kept) >= 2 and 2 <= len(_ended(scene.folder)) <= TRIALS - 3


def _ended(folder: Path) -> dict[int, Any]:
    """Return what must be the same whatever happened, of the trials that have ended."""
    try:
        trials = Record.open(folder).trials()
    except ValueError:  # it is not there yet
        return {}
    return {trial.number: _story(trial) for trial in trials if trial.state != "running"}


def _story(trial: Trial) -> tuple[Any, ...]:
    return (trial.state, trial.architecture.id, dict(trial.scores), trial.curve, trial.reason)


def document(rows: Sequence[Row]) -> list[str]:
    """Return the section of the results, as Markdown."""
    cells = [
        [
            *(
                row["fault"],
                row["before"],
                f"{row['trials']} of {TRIALS}",
                row["lost"],
                row["twice"],
            ),
            *("yes" if row["identical"] else "NO", row["status"], f"{row['seconds']:.0f}"),
        ]
        for row in rows
    ]
    columns = ["fault", "trials before:", "in the end:", "lost:", "twice:", "identical"]
    return [
        "Three Ray nodes with a network namespace each: the head without processors, two with one.",
        f"A real search of {TRIALS} trials of {STEPS} steps, kept every half second; something",
        "dies while both workers are in the middle of a training. *Identical*: every trial has the",
        "architecture, curve and score, to the last bit, that it has in a search with",
        "`--engine local`. Seconds are from the fault to the finished report.",
        "",
        *harness.table([*columns, "exit:", "seconds:"], cells),
        "",
        "What the records say of workers that were lost:",
        "",
        *(f"* {r['fault']}: {'; '.join(r['losses']) or 'nothing was lost'}." for r in rows),
    ]
