"""Train the networks of the table that ships with the program: resumable, on all cores or a GPU.

Every training is a line of a file of JSON lines as soon as it is over; `trained_plan` says which
trainings there are, `trained_pack` makes the table of them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from filelock import FileLock, Timeout

from benchmarks import harness
from benchmarks.harness import DataFolders, Out, Row, Val
from benchmarks.trained_pack import describe, pack
from benchmarks.trained_plan import (
    PARTS,
    Design,
    Training,
    cost_of,
    list_trainings,
    make_design,
    transferred,
)
from benchmarks.tries import find_recipe
from budgets.latency import device_name
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.devices import find_device
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY, STANDARD
from results.table import TABLE
from search.cli.commands import Device
from search.config import cpu_count, known
from search.engines.local import LocalDriver
from search.evaluators.evaluate import score_candidate, worker_died
from search.jobs import Job, Outcome

ROWS = "trained.jsonl"
"""The file that lines are appended to; those of all `*.jsonl` beside it are read too."""

KEPT_S = 60.0
"""Seconds after which a running training is kept again."""


@dataclass(frozen=True, kw_only=True)
class Timed(Outcome):
    """What came of a training, and on what: seconds of processor time, and the machine."""

    cpu_s: float
    machine: str


def work(job: Job) -> Outcome:
    """Train one network in a worker process."""
    begun = time.process_time()
    outcome = score_candidate(job)
    cpu_s = round(time.process_time() - begun, 1)
    machine = f"{device_name(job.device)}, torch {torch.__version__}"
    return Timed(**vars(outcome), cpu_s=cpu_s, machine=machine)


class Trainings:
    """The trainings that have no row yet, as jobs; a row is written as soon as one is over.

    Attributes:
        rows: of all finished trainings of the folder, by their index.
    """

    def __init__(
        self,
        folder: Path,
        trainings: Iterable[Training],
        images: ImageSource,
        device: str = "cpu",
        deadline: float = math.inf,
    ) -> None:
        """Take up what is in `folder`.

        Args:
            folder: of the rows; begun if there is none.
            trainings: the plan, in its order.
            images: what is trained and validated on; each training has a task of its own.
            device: torch's name of it.
            deadline: by `time.monotonic`, when no more trainings begin.

        Raises:
            SearchError: the folder holds trainings by other recipes or on other images.
        """
        self._folder, self._images, self._device = folder, images, device
        self._deadline = deadline
        self._names = image_names(images)
        self.rows = read_rows(folder)
        trainings = list(trainings)
        for training in trainings:
            self._check(training)
        self._waiting = [training for training in trainings if training.index not in self.rows]
        self._running: dict[int, tuple[Training, Design]] = {}

    @property
    def missing(self) -> int:
        """Return how many trainings have not begun."""
        return len(self._waiting)

    def ask(self) -> Job | None:
        """Return the next training whose design is known, or None."""
        if time.monotonic() >= self._deadline:
            return None
        for training in self._waiting:
            design = make_design(training.source, self.rows)
            if design is None:
                continue  # a mutant of networks that are not trained yet
            self._waiting.remove(training)
            adapted = transferred(design, training.task)
            return self._job(training, adapted) if adapted else self.ask()
        return None

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Keep what came of a training."""
        training, design = self._running.pop(job.number)
        job.weights.unlink(missing_ok=True)
        row = make_row(training, design, outcome, self._names)
        self.rows[training.index] = row
        with (self._folder / ROWS).open("a", encoding="utf-8") as file:
            # a line of its own: an earlier run may have been stopped within one
            file.write(f"\n{json.dumps(row, separators=(',', ':'))}\n")
        score = row["reason"] or f"{row['curve'][-1][1]:.2f} dB"
        harness.log(f"{training.index} {design.origin}, {row['params']:,} parameters: {score}")

    def _job(self, training: Training, design: Design) -> Job:
        self._running[training.index] = training, design
        recipe, on_gpu = training.recipe, torch.device(self._device).type == "cuda"
        return Job(
            number=training.index,
            architecture=design.architecture,
            recipe=recipe,
            source=replace(
                self._images,
                task=parse_task(training.task),
                patch_px=recipe.patch_px,
                recipe=recipe.name,
            ),
            seed=training.seed,
            device=self._device,
            weights=self._folder / f"{training.index}.safetensors",
            state=self._folder / f"{training.index}-{recipe.name}-{recipe.steps}.state",
            keep_s=KEPT_S,
            checks=training.checks,
            launch_mode="graphed" if on_gpu else "eager",
        )

    def _check(self, training: Training) -> None:
        row = self.rows.get(training.index)
        if row is None:
            return
        recipe = training.recipe
        kept = (row["recipe"], row["steps"], row["images"])
        asked = (recipe.name, recipe.steps, self._names)
        if kept != asked:
            raise SearchError(
                f"training {training.index} of {self._folder} was by {kept}, not by {asked}; use "
                "another folder for other recipes or images"
            )


def make_row(training: Training, design: Design, outcome: Outcome, images: Sequence[str]) -> Row:
    """Return everything that is known of a training, in plain values."""
    timed = outcome if isinstance(outcome, Timed) else None
    cost = cost_of(design.architecture, training.task)
    return {
        "index": training.index,
        "id": design.architecture.id,
        "origin": design.origin,
        "task": training.task,
        "recipe": training.recipe.name,
        "steps": training.recipe.steps,
        "batch": training.recipe.batch,
        "patch_px": training.recipe.patch_px,
        "seed": training.seed,
        "params": cost.params,
        "macs": cost.macs,
        "curve": [[step, round(score, 4)] for step, score in outcome.curve],
        "seconds": round(outcome.seconds, 1),
        "cpu_s": timed.cpu_s if timed else 0.0,
        "machine": timed.machine if timed else "",
        "restart": outcome.restart.text if outcome.restart else "",
        "reason": outcome.reason or "",
        "images": list(images),
        "choices": design.choices or {},
        "architecture": design.architecture.to_plain(),
    }


def read_rows(folder: Path) -> dict[int, Row]:
    """Return the rows of a folder by their index; a line at which a run was stopped is left out."""
    rows: dict[int, Row] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
            with suppress(ValueError):
                row = json.loads(line)
                rows.setdefault(row["index"], row)
    return dict(sorted(rows.items()))


def image_names(images: ImageSource) -> list[str]:
    """Return the folders of a source by the last two parts of their paths, the validation last."""
    return ["/".join(path.parts[-2:]) for path in images.paths] or ["embedded photographs"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder until the end of the context.

    Raises:
        SearchError: another process trains there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise SearchError(
            f"another process trains in {folder}; give this one a folder for itself"
        ) from None


def train_all(trainings: Trainings, workers: int) -> Mapping[int, Row]:
    """Return the rows of all trainings, after as many as there is time for, on `workers` processes.

    Each uses one thread: their number changes the last digits of a training.
    """
    with LocalDriver(work, partial(worker_died, times="twice"), workers) as driver:
        driver.drive(trainings)
    return trainings.rows


def trained(
    folder: Annotated[Path, typer.Option(help="Where the rows are kept.")] = Path(
        "runs/bench-trained"
    ),
    data: DataFolders = None,
    val: Val = None,
    workers: Annotated[
        int, typer.Option(help="Trainings at a time; 0: one per core, or one for a GPU.", min=0)
    ] = 0,
    device: Device = "auto",
    hours: Annotated[float, typer.Option(help="Begin nothing after so long; 0: no limit.")] = 0.0,
    parts: Annotated[str, typer.Option(help="Of the plan, joined by commas.")] = ",".join(PARTS),
    count: Annotated[int, typer.Option(help="Of each part so many; 0: all.", min=0)] = 0,
    recipe: Annotated[str, typer.Option(help="A name, or a file.")] = PROXY.name,
    long_recipe: Annotated[str, typer.Option(help="Of the long part.")] = STANDARD.name,
    only_pack: Annotated[
        bool, typer.Option("--pack", help="Train nothing; make the table of the rows.")
    ] = False,
    table: Annotated[Path, typer.Option(help="The table that is packed.")] = TABLE,
    out: Out = None,
) -> None:
    """Train the networks of the table that ships with the program.

    Goes on where it was stopped.

    Example:  python -m benchmarks trained --folder runs/trained --hours 8
    """
    if only_pack:
        networks = pack(read_rows(folder).values(), table)
        harness.publish("## What it holds", describe(networks, table), out)
        return
    names = parts.split(",")
    for name in names:
        known("part", name, PARTS)
    plan = list_trainings(names, find_recipe(recipe), find_recipe(long_recipe), count or None)
    images = harness.source(plan[0].task, data, val)
    chosen = find_device(device)
    deadline = time.monotonic() + hours * 3600 if hours else math.inf
    with locked(folder):
        trainings = Trainings(folder, plan, images, str(chosen), deadline)
        rows = train_all(trainings, workers or (1 if chosen.type == "cuda" else cpu_count()))
    print(f"{len(rows)} trainings in {folder}; {trainings.missing} of the plan are missing")
