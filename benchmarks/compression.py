"""Is it worth pruning? A parent is brought down in several ways, each trained equally long.

    parent      the unpruned network, trained T0 + T1 steps
    taylor      trained T0 steps, pruned by Taylor importance, T1 steps with its parent teaching
    scratch     the architecture that `taylor` found, trained T0 + T1 steps from fresh weights
    magnitude   as `taylor`, by magnitude and without a teacher
    random      as `taylor`, with channels drawn at random

All have one recipe. In the T0 steps before pruning its rate falls to half its peak only: what a
fall to the end gains is lost when the rate rises again after pruning.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import harness
from benchmarks.harness import DataFolders, Out, Row, Step, Val, student
from benchmarks.options import decimals
from budgets.assess import CostSettings, Target
from budgets.budget import Budget, Size
from budgets.price import price
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    MlpConfig,
    StageConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.checkpoints import load_model, save_model
from lightir_core.data.datasets import make_pairs
from lightir_core.data.image_source import ImageSource, open_images
from lightir_core.data.tasks import Task
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.recipe import PROXY, Recipe
from lightir_core.learning.step import Teacher
from lightir_core.learning.training import train
from lightir_core.network import Network, build
from lightir_core.seeds import derive
from search.compress.prune import Pruning, prune

CPU = torch.device("cpu")
WAYS = ("taylor", "scratch", "magnitude", "random")
STOPPED = 0.5
"""Rate at which the T0 steps end, as a share of the peak."""

CROP_PX = 96
"""Side of the low-quality validation crops, one of the middle of each image."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured.

    Attributes:
        source: task and images.
        width: of the parent's trunk.
        steps: T0, of the parent.
        finish: T1, after pruning.
        cuts: shares of the parent's parameters that go.
        folder: where rows and trained networks are kept.
    """

    source: ImageSource
    width: int
    steps: int
    finish: int
    cuts: tuple[float, ...]
    folder: Path


def parent_architecture(width: int, task: Task) -> Architecture:
    """Return two stages of two window attentions.

    The smallest network with everything that can go.
    """
    blocks = tuple(
        BlockConfig(
            mixer=WindowAttentionConfig(num_heads=4, window_size=(8, 8), shift_size=shift),
            feed_forward=MlpConfig(hidden_dim=2 * width),
        )
        for shift in ((0, 0), (4, 4))
    )
    return Architecture(
        width=width,
        scale=task.scale,
        in_channels=task.in_channels,
        out_channels=task.out_channels,
        stages=(StageConfig(blocks=blocks, closing="depthwise"),) * 2,
        tail=TailConfig(skip="interpolated"),
    )


def rows_of(setting: Setting, seeds: Sequence[int], log: Callable[[str], None]) -> list[Row]:
    """Return a row for every network of every seed; goes on where it was stopped."""
    return harness.measure(setting.folder / "compression.jsonl", _steps(setting, seeds), log)


def _steps(setting: Setting, seeds: Sequence[int]) -> Iterator[Step]:
    for seed in seeds:
        for way, cut in (("parent", 0.0), *((way, cut) for cut in setting.cuts for way in WAYS)):
            key = f"{setting.width} {setting.steps}+{setting.finish} {setting.source} "
            yield f"{key}{seed}-{way}-{cut:g}", partial(_row, setting, way, cut, seed)


def _row(setting: Setting, way: str, cut: float, seed: int) -> Row:
    """Make, keep and score a network."""
    task = setting.source.task
    network = _made(setting, way, cut, seed)
    save_model(setting.folder / f"{seed}-{way}-{cut:g}", network)
    pairs = make_pairs(task, open_images(setting.source).validation, crop_px=CROP_PX)
    score = evaluate(network, pairs, task, CPU, (task.metric,)).mean[task.metric]
    params = sum(parameter.numel() for parameter in network.parameters())
    return {"way": way, "cut": cut, "seed": seed, "params": params, "score": score}


def _made(setting: Setting, way: str, cut: float, seed: int) -> Network:
    whole = PROXY.lasting(setting.steps + setting.finish)
    if way in ("parent", "scratch"):
        architecture = (
            parent_architecture(setting.width, setting.source.task)
            if way == "parent"
            else load_model(setting.folder / f"{seed}-taylor-{cut:g}").architecture
        )
        return _train(setting, _fresh(architecture, seed), whole, seed, "start")
    start, size = _start(setting, seed), Size(720, 1280)
    params = round((1 - cut) * price(load_model(start).architecture, size).params)
    pruned = prune(
        load_model(start),
        Target(Budget.parse(f"params={params}"), CostSettings(sizes=(size,))),
        open_images(setting.source).training,
        Pruning(importance=way, seed=derive(seed, "prune", 0)),
    ).network
    teacher = Teacher(network=load_model(start).requires_grad_(False))
    recipe = PROXY.lasting(setting.finish)
    taught = None if way == "magnitude" else teacher
    return _train(setting, pruned, recipe, seed, "finish", taught)


def _start(setting: Setting, seed: int) -> Path:
    """Return the folder of the parent after its first T0 steps, which is trained once."""
    folder = setting.folder / f"{seed}-start"
    if not (folder / "weights.safetensors").is_file():
        task = setting.source.task
        network = _fresh(parent_architecture(setting.width, task), seed)
        recipe = replace(PROXY.lasting(setting.steps), final_lr=STOPPED)
        save_model(folder, _train(setting, network, recipe, seed, "start"))
    return folder


def _fresh(architecture: Architecture, seed: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights", 0))
        return build(architecture)


def _train(
    setting: Setting,
    network: Network,
    recipe: Recipe,
    seed: int,
    purpose: str,
    teacher: Teacher | None = None,
) -> Network:
    """Train to the last step: equally long trainings stop nowhere early."""
    data = open_images(setting.source).training
    train(
        network,
        data,
        recipe,
        seed=derive(seed, purpose, 0),
        device=CPU,
        validate=lambda _: 0.0,
        checks=1,
        teacher=teacher,
    )
    return network


def document(rows: Sequence[Row]) -> list[str]:
    """Return the table of all ways, with differences seed by seed, as Markdown."""
    parents = {row["seed"]: row for row in rows if row["way"] == "parent"}
    size = next(iter(parents.values()))["params"]
    cells = [[f"{size:,}", "parent", _mean([r["score"] for r in parents.values()]), "", ""]]
    for cut in sorted({row["cut"] for row in rows} - {0.0}):
        taylor = {r["seed"]: r for r in rows if (r["way"], r["cut"]) == ("taylor", cut)}
        for way in WAYS:
            mine = [row for row in rows if (row["way"], row["cut"]) == (way, cut)]
            cells.append(_line(mine, parents, taylor))
    columns = ["parameters:", "way", "PSNR, dB:", "to the unpruned parent:"]
    return harness.table([*columns, "taylor is better by:"], cells)


def _line(rows: Sequence[Row], parents: Mapping[int, Row], taylor: Mapping[int, Row]) -> list[str]:
    """Return one way and one cut, held against the parent and `taylor` of each seed."""
    way, cut = rows[0]["way"], rows[0]["cut"]
    loss = [row["score"] - parents[row["seed"]]["score"] for row in rows]
    gain = [taylor[row["seed"]]["score"] - row["score"] for row in rows]
    params = round(statistics.fmean(row["params"] for row in rows))
    times = next(iter(parents.values()))["params"] / params
    scores = _mean([row["score"] for row in rows])
    better = "" if way == "taylor" else _mean(gain, "+")
    return [f"{params:,} (−{cut:.0%}, parent {times:.2f} ×)", way, scores, _mean(loss, "+"), better]


def _mean(values: Sequence[float], sign: str = "") -> str:
    mean, half = student(values)
    return f"{mean:{sign}.3f} ± {half:.3f}"


def compression(
    seeds: Annotated[int, typer.Option(help="Repetitions.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Of the parent, before pruning.", min=1)] = 450,
    finish: Annotated[int, typer.Option(help="After pruning.", min=1)] = 450,
    cuts: Annotated[str, typer.Option(help="Shares that go, joined by commas.")] = "0.23,0.3,0.5",
    width: Annotated[int, typer.Option(help="Of the parent; a multiple of 4.", min=4)] = 32,
    task: Annotated[str, typer.Option(help="What to restore.")] = "sr-x2",
    data: DataFolders = None,
    val: Val = None,
    keep: Annotated[Path, typer.Option(help="Where trainings are kept.")] = Path(
        "runs/bench-compression"
    ),
    out: Out = None,
) -> None:
    """A pruned and fine-tuned network against the same one from scratch, and other prunings.

    Every way trains equally long. Stopped, it goes on where it was.

    Example:  python -m benchmarks compression --data photos/ --out compression.md
    """
    setting = Setting(
        source=harness.source(task, data, val),
        width=width,
        steps=steps,
        finish=finish,
        cuts=decimals("--cuts", cuts),
        folder=keep,
    )
    rows = rows_of(setting, range(seeds), harness.log)
    harness.publish(f"## {steps} + {finish} steps", document(rows), out)
