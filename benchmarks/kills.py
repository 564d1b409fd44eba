"""Is anything lost? A search is killed at random moments, again and again, and then compared.

Each search is a process of its own that gets SIGKILL, as from the system when memory runs out.
Trials cost next to nothing, so that most kills hit the search itself: while it opens, repairs,
replays, proposes and writes. Some kills also leave half a line at the end of the journal.
"""

import contextlib
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks import harness
from benchmarks.harness import Row
from benchmarks.overhead import no_job, no_work
from benchmarks.table import GENERATION, OBJECTIVES, feasible_table
from lightir_core.errors import RunFailedError, SearchError
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.study import JOURNAL, Record
from search.jobs import Job, Outcome, Silent, drive_function
from search.loop import Limits, Search
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario

TRIAL_S = 0.002
EARLY_S = 0.2
"""Half of the kills come within this time from the start: while the record is opened, replayed."""

TORN = b'{"op_code": 8, "worker_id": "torn'


def measure(
    folder: Path,
    strategy: str,
    trials: int,
    kills: int,
    seed: int,
    fidelity: str,
    log: Callable[[str], None],
) -> Row:
    """Search twice in `folder`: once undisturbed, once with `kills` kills.

    Args:
        folder: for both run folders.
        strategy: a key of `search.strategies.STRATEGIES`.
        trials: of each search; a multiple of `kills` leaves each of them something to do.
        kills: how many; fewer if the search is over before.
        seed: decides the search and the moments.
        fidelity: whether trials are compared on their way; see `search.rungs`.
        log: called after every kill.

    Returns:
        How many `kills` hit a living search, its `trials` in the end, `lost` ones that a later look
        did not find as they had been, `zombies` that are still running, `duplicates` of an
        architecture, and whether the trials are `identical` to those without kills.
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
        log(f"kill {done} after {len(seen)} finished trials")
        if done % 5 == 0 and (killed / JOURNAL).exists():
            with (killed / JOURNAL).open("ab") as file:
                file.write(TORN)
    _wait(_start(killed, strategy, trials, seed, fidelity))
    recorded = Record.open(killed).trials()
    return {
        "kills": done,
        "trials": len(recorded),
        "lost": lost,
        "zombies": sum(trial.state == "running" for trial in recorded),
        "duplicates": len(recorded) - len({trial.architecture.id for trial in recorded}),
        "identical": _ended(killed) == _ended(whole),
    }


def _search(folder: Path, strategy: str, trials: int, seed: int, fidelity: str = "none") -> None:
    """Begin a search in `folder`, or go on with it."""
    setting = Scenario(feasible_table(), OBJECTIVES, GENERATION, seed)
    if (folder / JOURNAL).exists():
        record = Record.open(folder, write=True)
    else:
        dimensions = setting.feasible.space.distributions()
        record = Record.create(folder, OBJECTIVES, dimensions)
    with record:
        search = Search(
            STRATEGIES[strategy](setting),
            record,
            lambda number, candidate, until: no_job(number, candidate, seed, until),
            Limits(trials, GENERATION, float("inf")),
            Silent(),
            rungs_for(fidelity, PROXY.steps),
        )
        drive_function(search, _little_work)


def _little_work(job: Job) -> Outcome:
    time.sleep(TRIAL_S)
    return no_work(job)


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
    """Return what is to be the same, by number: all of a trial but the moments."""
    if not (folder / JOURNAL).exists():
        return {}
    return {
        t.number: replace(t, started=None, finished=None, seconds=None)
        for t in Record.open(folder).trials()
        if t.state != "running"
    }


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def kills(
    count: Annotated[int, typer.Option("--kills", help="How often.", min=1)] = 50,
    trials: Annotated[int, typer.Option(help="Of the search.", min=1)] = 200,
    strategy: Annotated[str, typer.Option(help="Who proposes.")] = "nsga2",
    seed: Annotated[int, typer.Option(help="Decides the search and the moments.")] = 0,
    fidelity: Annotated[str, typer.Option(help="none, asha or hyperband.")] = "none",
) -> None:
    """Kill a search at random moments, over and over: is anything lost, repeated or left behind?

    Example:  python -m benchmarks kills --kills 50 --strategy tpe
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), strategy, trials, count, seed, fidelity, harness.log)
    columns = ["strategy", "seed:", *(f"{name}:" for name in row)]
    harness.publish("## Kills", harness.table(columns, [[strategy, seed, *row.values()]]))
    if row["lost"] or row["zombies"] or row["duplicates"] or not row["identical"]:
        raise RunFailedError("a search that was killed did not end as it would have undisturbed")
