"""Is anything lost? A search is killed at random moments, again and again, and then compared.

Each search is a process of its own that gets SIGKILL, as from the system when memory runs out.
Trials cost next to nothing, so that most kills hit the search itself: while it opens, repairs,
replays, proposes and writes. Some kills also leave half a line at the end of the journal.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.overhead import NoWork, no_job
from benchmarks.table import feasible_table
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.objectives import Objective
from results.study import JOURNAL, Record
from search.callbacks import Silent
from search.jobs import Job, Outcome
from search.loop import Limits, search
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario

OBJECTIVES = (
    Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    Objective(name="macs", direction="minimise", unit="MACs", label="MACs"),
)
GENERATION = 8
TRIAL_S = 0.002
EARLY_S = 0.2
"""Half of the kills come within this time from the start: while the record is opened, replayed."""

TORN = b'{"op_code": 8, "worker_id": "torn'


@dataclass(frozen=True)
class Survival:
    """What a search that was killed over and over ended with.

    Attributes:
        kills: how often a living search was killed.
        trials: in the end.
        lost: finished trials that a later look did not find as they had been.
        zombies: trials that are still running when all is over.
        duplicates: architectures that were tried more than once.
        identical: whether it ended with the trials of a search that nobody killed.
    """

    kills: int
    trials: int
    lost: int
    zombies: int
    duplicates: int
    identical: bool


@dataclass(frozen=True)
class Quick(NoWork):
    """No work in a little time."""

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """An outcome for each job, soon."""
        for job in filter(None, jobs):
            time.sleep(TRIAL_S)
            yield from super().run([job])


def measure(
    folder: Path,
    strategy: str,
    trials: int,
    kills: int,
    seed: int,
    fidelity: str,
    tell: Callable[[str], None],
) -> Survival:
    """Search twice in `folder`: once in peace, once with `kills` kills.

    Args:
        folder: for both run folders.
        strategy: a key of `search.strategies.STRATEGIES`.
        trials: of each search; a multiple of `kills` leaves each of them something to do.
        kills: how many; fewer if the search is over before.
        seed: decides the search and the moments.
        fidelity: whether trials are compared on their way; see `search.rungs`.
        tell: hears of every kill.
    """
    whole, killed = folder / "whole", folder / "killed"
    _search(whole, strategy, trials, seed, fidelity)
    growth = 2 * (whole / JOURNAL).stat().st_size // kills
    rng = random.Random(derive(seed, "kills"))
    seen: dict[int, Any] = {}
    done = lost = 0
    while done < kills:
        process = _start(killed, strategy, trials, seed, fidelity)
        if not _killed(process, killed / JOURNAL, growth, rng):
            break
        done += 1
        now = _ended(killed)
        lost += sum(1 for number, trial in seen.items() if now.get(number) != trial)
        seen = now
        tell(f"kill {done} after {len(seen)} finished trials")
        if done % 5 == 0 and (killed / JOURNAL).exists():
            _tear(killed / JOURNAL)
    _wait(_start(killed, strategy, trials, seed, fidelity))
    return _compared(whole, killed, done, lost)


def _compared(whole: Path, killed: Path, kills: int, lost: int) -> Survival:
    trials = Record.open(killed).trials()
    ids = [trial.architecture.id for trial in trials]
    return Survival(
        kills=kills,
        trials=len(trials),
        lost=lost,
        zombies=sum(trial.state == "running" for trial in trials),
        duplicates=len(ids) - len(set(ids)),
        identical=_ended(killed) == _ended(whole),
    )


def _search(folder: Path, strategy: str, trials: int, seed: int, fidelity: str = "none") -> None:
    """Begin a search in `folder`, or go on with it."""
    setting = Scenario(feasible_table(), OBJECTIVES, GENERATION, seed)
    if (folder / JOURNAL).exists():
        record = Record.open(folder, write=True)
    else:
        dimensions = setting.feasible.space.distributions()
        record = Record.create(folder, OBJECTIVES, dimensions)
    with record:
        search(
            STRATEGIES[strategy](setting),
            record,
            Quick(),
            lambda number, candidate, until: no_job(number, candidate, seed, until),
            Limits(trials, GENERATION, float("inf")),
            Silent(),
            rungs_for(fidelity, PROXY.steps),
        )


def _start(*args: Any) -> Any:  # noqa: ANN401  what `_search` takes
    # forked, so that it begins at once: loading the libraries takes seconds
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_search, args=args)
    process.start()
    return process


def _killed(process: Any, journal: Path, growth: int, rng: random.Random) -> bool:  # noqa: ANN401
    """Kill a search at a random moment; false if it was over before."""
    if rng.random() < 0.5:
        time.sleep(rng.uniform(0, EARLY_S))
    else:
        goal = _size(journal) + rng.randint(1, growth)
        while process.is_alive() and _size(journal) < goal:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.01))
    if not process.is_alive():
        _wait(process)
        return False
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return True


def _wait(process: Any) -> None:  # noqa: ANN401  multiprocessing has one type for each method
    process.join()
    if process.exitcode != 0:
        raise SearchError(f"a search that nobody killed ended with status {process.exitcode}")


def _ended(folder: Path) -> dict[int, Any]:
    """What is to be the same, by number: all of a trial but the moments."""
    if not (folder / JOURNAL).exists():
        return {}
    return {
        t.number: replace(t, started=None, finished=None, seconds=None)
        for t in Record.open(folder).trials()
        if t.state != "running"
    }


def _tear(journal: Path) -> None:
    with journal.open("ab") as file:
        file.write(TORN)


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
