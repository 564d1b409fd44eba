"""Is what the main job hands over as good as the best paper, trained for as long?

    preset    a published system, shrunk to a share of the budget and trained for the whole time
    answer    what `run` hands over within that time, chosen by validation as it always is

The best preset is chosen in hindsight, by the test images themselves: nobody knows it beforehand.
"""

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import harness
from benchmarks.harness import DataFolders, More, Out, Row, Step, Val, student
from benchmarks.options import decimals
from budgets.assess import CostSettings, Target, reference_size
from budgets.budget import Budget
from budgets.throughput import time_step
from lightir_core.checkpoints import load_model, load_weights
from lightir_core.data.image_source import ImageSource, whole_images
from lightir_core.errors import ArchitectureError, SearchError
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.recipe import read_recipe
from lightir_core.network import Network, build
from lightir_core.published.presets import PRESETS, shrink
from lightir_core.seeds import derive
from results.run import RunFolder
from results.run_view import read_run
from search.baselines import with_plain_skip
from search.config import SearchConfig, cpu_count, known, parse_duration
from search.engines.local import LocalDriver
from search.evaluators.evaluate import score_candidate, worker_died
from search.jobs import Job, JobQueue, Outcome, Silent
from search.pipeline import run

CPU = torch.device("cpu")

PATIENCE = 8
"""More checks than a training has: none ends early, and the best weights are kept."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured.

    Attributes:
        source: task, and the images of training and validation.
        test: images that decide nothing but the table.
        budget: as `run` takes it.
        time_s: of a job, and of a preset's training.
        workers: trainings at a time.
        recipe: of the presets; its number of steps does not count.
        folder: where rows, weights and runs are kept.
    """

    source: ImageSource
    test: Path
    budget: str
    time_s: float
    workers: int
    recipe: str
    folder: Path

    @property
    def key(self) -> str:
        """Return what every row depends on."""
        images = " ".join((*self.source.data, str(self.source.val), str(self.test)))
        return f"{self.source.task.name} {self.budget} {self.time_s:g}s x{self.workers} {images}"


def train_for_time(job: Job) -> Outcome:
    """Train a network for as long as its job may take, over as many steps as that allows."""
    begun = time.perf_counter()
    step_s = time_step(job.architecture, job.recipe, CPU)
    left_s = job.limit_s - (time.perf_counter() - begun)
    recipe = job.recipe.lasting(max(1, int(left_s / step_s)))
    return score_candidate(replace(job, recipe=recipe, limit_s=left_s))


def preset_jobs(setting: Setting, names: Sequence[str], shares: Sequence[float]) -> Iterator[Job]:
    """Yield the trainings of published systems at each share of the budget that one fits."""
    recipe = replace(read_recipe(setting.recipe), patience=PATIENCE)
    budget, task = Budget.parse(setting.budget), setting.source.task
    settings = CostSettings(sizes=(reference_size(task),))
    for number, (share, name) in enumerate(product(shares, names)):
        target = Target(budget.scaled(share), settings)
        try:
            smaller = shrink(name, target.fits, task.name)
        except ArchitectureError as error:
            harness.log(f"{name} at {share:g} of the budget: {error}")
            continue
        title = f"{name}-{target.cost(smaller).params}-{setting.time_s:g}s"
        yield Job(
            number=number,
            architecture=with_plain_skip(smaller),
            recipe=recipe,
            source=replace(setting.source, patch_px=recipe.patch_px, recipe=recipe.name),
            seed=derive(0, "preset", name),
            device="cpu",
            weights=setting.folder / f"{title}.safetensors",
            limit_s=setting.time_s,
        )


def train_presets(setting: Setting, jobs: Sequence[Job]) -> None:
    """Train those that have no weights yet."""
    waiting = [job for job in jobs if not job.weights.is_file()]

    def report(job: Job, outcome: Outcome) -> None:
        harness.log(f"{job.weights.stem}: {outcome.reason or f'{outcome.seconds:.0f} s'}")

    with LocalDriver(
        train_for_time, partial(worker_died, times="twice"), setting.workers
    ) as driver:
        driver.drive(JobQueue(waiting, on_outcome=report))


def _preset_row(setting: Setting, job: Job) -> Row:
    network = build(job.architecture)
    load_weights(job.weights, network)
    return {"name": job.weights.stem, **_scored(setting, network)}


def _answer_row(setting: Setting, seed: int) -> Row:
    """Do the whole job, again from its beginning if it was stopped."""
    folder = setting.folder / f"answer-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    config = SearchConfig(
        task=setting.source.task.name,
        data=setting.source.data,
        val=setting.source.val,
        budget=setting.budget,
        time_s=setting.time_s,
        workers=setting.workers,
        device="cpu",
        seed=seed,
    )
    begun = time.perf_counter()
    run(config, folder, Silent(), ("run",))
    seconds, best = time.perf_counter() - begun, read_run(folder).best
    if best is None:
        raise SearchError(f"the job in {folder} handed nothing over; read its report")
    network = load_model(RunFolder(folder).model(best.id))
    trials = len(read_run(folder).finished)
    return {"seed": seed, "seconds": seconds, "trials": trials, **_scored(setting, network)}


def _scored(setting: Setting, network: Network) -> Row:
    """Return the size of a network and its score on the whole test images."""
    task = setting.source.task
    pairs = whole_images(ImageSource(task=task, val=str(setting.test)))
    score = evaluate(network.eval(), pairs, task, CPU, (task.metric,)).mean[task.metric]
    return {"params": sum(p.numel() for p in network.parameters()), "score": score}


def document(presets: Sequence[Row], answers: Sequence[Row]) -> list[str]:
    """Return the table of both, the best preset first, and how they compare."""
    ordered = sorted(presets, key=lambda row: -row["score"])
    cells = [[row["name"], f"{row['params']:,}", f"{row['score']:.2f}", ""] for row in ordered]
    for row in answers:
        facts = f"{row['trials']} trials, {row['seconds']:.0f} s"
        name = f"run, seed {row['seed']}"
        cells.append([name, f"{row['params']:,}", f"{row['score']:.2f}", facts])
    lines = harness.table(["network", "parameters:", "test, dB:", ""], cells)
    if ordered and answers:
        mean, half = student([row["score"] - ordered[0]["score"] for row in answers])
        lines += ["", f"The answer is {mean:+.2f} dB from the best preset in hindsight"]
        lines[-1] += f" (± {half:.2f}, {len(answers)} seeds)." if math.isfinite(half) else "."
    return lines


def _steps(setting: Setting, jobs: Sequence[Job], seeds: Sequence[int]) -> Iterator[Step]:
    for job in jobs:
        if job.weights.is_file():  # one that was stopped has none yet
            yield f"{setting.key} {job.weights.stem}", partial(_preset_row, setting, job)
    for seed in seeds:
        yield f"{setting.key} answer-{seed}", partial(_answer_row, setting, seed)


def answer(
    test: Annotated[Path, typer.Option(help="Images that are scored on, and on nothing else.")],
    data: DataFolders = None,
    val: Val = None,
    budget: Annotated[str, typer.Option(help="Of the job.")] = "400k",
    limit: Annotated[str, typer.Option("--time", help="Of a job and of a preset.")] = "10min",
    seeds: Annotated[int, typer.Option(help="Jobs.", min=1)] = 3,
    shares: Annotated[str, typer.Option(help="Of the budget, of presets.")] = "1,0.5,0.25",
    presets: Annotated[str, typer.Option(help="Joined by commas.")] = ",".join(PRESETS),
    recipe: Annotated[str, typer.Option(help="Of presets: a name, or a file.")] = "proxy",
    workers: Annotated[int, typer.Option(help="Trainings at a time; 0: one per core.", min=0)] = 0,
    task: Annotated[str, typer.Option(help="What to restore.")] = "sr-x2",
    keep: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(
        "runs/bench-answer"
    ),
    more: More = True,
    out: Out = None,
) -> None:
    """What `run` hands over, next to the published systems trained for its whole time.

    Example:  python -m benchmarks answer --test data/Set5 --data data/T91 --val data/Kodak24
    """
    names = presets.split(",")
    for name in names:
        known("preset", name, PRESETS)
    setting = Setting(
        source=harness.source(task, data, val),
        test=test.resolve(),
        budget=budget,
        time_s=parse_duration(limit),
        workers=workers or cpu_count(),
        recipe=recipe,
        folder=keep,
    )
    keep.mkdir(parents=True, exist_ok=True)
    jobs = list(preset_jobs(setting, names, decimals("--shares", shares)))
    if more:
        train_presets(setting, jobs)
    rows = harness.measure(keep / "answer.jsonl", _steps(setting, jobs, range(seeds)), more=more)
    scored, answers = (
        [row for row in rows if ("seed" in row) == is_run] for is_run in (False, True)
    )
    harness.publish(f"## {budget} in {limit}", document(scored, answers), out)
