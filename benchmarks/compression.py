"""Is it worth pruning? A parent is brought down in several ways, each trained equally long.

    parent      the unpruned network, trained T0 + T1 steps
    taylor      trained T0 steps, pruned by Taylor importance, T1 steps with its parent teaching
    scratch     the architecture that `taylor` found, trained T0 + T1 steps from fresh weights
    magnitude   as `taylor`, by magnitude and without a teacher
    random      as `taylor`, with channels drawn at random

All have one recipe. In the T0 steps before pruning its rate falls to half its peak only: what a
fall to the end gains is lost when the rate rises again after pruning.

Every finished training is kept in a file, so an interrupted measurement goes on where it stopped.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from scipy.stats import t as student
from torch import nn

from budgets.assess import CostSettings
from budgets.budget import Budget
from budgets.price import price
from budgets.target import Target
from budgets.units import Size
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    MlpConfig,
    StageConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.checkpoints import load_model, save_model, write_text_atomic
from lightir_core.data.datasets import Pair, make_pairs
from lightir_core.data.tasks import Task, parse_task
from lightir_core.learning.distil import Teacher
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.recipe import PROXY, Recipe
from lightir_core.learning.training import train
from lightir_core.network import Network, build
from lightir_core.seeds import derive
from search.compress.prune import Pruning, prune
from search.evaluators.images import open_images
from search.jobs import Source

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
        folder: where finished trainings are kept.
    """

    source: Source
    width: int
    steps: int
    finish: int
    cuts: tuple[float, ...]
    folder: Path

    @cached_property
    def task(self) -> Task:
        """The task of the source."""
        return parse_task(self.source.task)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """What networks are scored on."""
        return make_pairs(self.task, open_images(self.source).validation, crop_px=CROP_PX)


@dataclass(frozen=True)
class Row:
    """One trained network: which way, how much went, its seed, size and score in dB."""

    way: str
    cut: float
    seed: int
    params: int
    score: float


def parent_architecture(width: int, task: Task) -> Architecture:
    """Two stages of two window attentions: the smallest network with everything that can go."""
    shifts = ((0, 0), (4, 4))
    blocks = tuple(
        BlockConfig(
            mixer=WindowAttentionConfig(num_heads=4, window_size=(8, 8), shift_size=shift),
            feed_forward=MlpConfig(hidden_dim=2 * width),
        )
        for shift in shifts
    )
    return Architecture(
        width=width,
        scale=task.scale,
        in_channels=task.in_channels,
        out_channels=task.out_channels,
        stages=(StageConfig(blocks=blocks, closing="depthwise"),) * 2,
        tail=TailConfig(skip="interpolated"),
    )


def measure(setting: Setting, seeds: Sequence[int]) -> Iterator[Row]:
    """Every network of every seed, as it is trained or found in its file."""
    for seed in seeds:
        parent = _parent(setting, seed)
        yield _row(setting, "parent", 0.0, seed, lambda s=seed: _unpruned(setting, s))
        for cut in setting.cuts:
            for way in WAYS:
                yield _row(
                    setting,
                    way,
                    cut,
                    seed,
                    lambda p=parent, s=seed, c=cut, w=way: _way(setting, p, s, c, w),
                )


def _row(setting: Setting, way: str, cut: float, seed: int, make: Callable[[], Network]) -> Row:
    """Make a network and score it, unless that was done before."""
    folder = setting.folder / f"{seed}-{way}-{cut:g}"
    kept = folder / "score.json"
    if not kept.is_file():
        network = make()
        save_model(folder, network)
        size = sum(parameter.numel() for parameter in network.parameters())
        found = {"params": size, "score": _score(setting, network)}
        write_text_atomic(kept, json.dumps(found))
    found = json.loads(kept.read_text(encoding="utf-8"))
    return Row(way, cut, seed, found["params"], found["score"])


def _parent(setting: Setting, seed: int) -> Network:
    """The parent after its first T0 steps."""
    folder = setting.folder / f"{seed}-start"
    if not (folder / "weights.safetensors").is_file():
        network = _fresh(parent_architecture(setting.width, setting.task), seed)
        recipe = replace(PROXY.lasting(setting.steps), final_lr=STOPPED)
        _train(setting, network, recipe, seed, "start")
        save_model(folder, network)
    return load_model(folder)


def _unpruned(setting: Setting, seed: int) -> Network:
    """The parent's architecture, trained as `scratch` is."""
    network = _fresh(parent_architecture(setting.width, setting.task), seed)
    _train(setting, network, PROXY.lasting(setting.steps + setting.finish), seed, "start")
    return network


def _way(setting: Setting, parent: Network, seed: int, cut: float, way: str) -> Network:
    if way == "scratch":
        small = load_model(setting.folder / f"{seed}-taylor-{cut:g}").architecture
        network = _fresh(small, seed)
        recipe = PROXY.lasting(setting.steps + setting.finish)
        _train(setting, network, recipe, seed, "start")
        return network
    size = Size(720, 1280)
    params = round((1 - cut) * price(parent.architecture, size).params)
    target = Target(Budget.parse(f"params={params}"), CostSettings(sizes=(size,)))
    data = open_images(setting.source).training
    pruned = prune(
        load_model(setting.folder / f"{seed}-start"),
        target,
        data,
        Pruning(importance=way, seed=derive(seed, "prune", 0)),
    ).network
    teacher = None
    if way != "magnitude":
        start = load_model(setting.folder / f"{seed}-start").requires_grad_(False)
        teacher = Teacher(network=start)
    _train(setting, pruned, PROXY.lasting(setting.finish), seed, "finish", teacher)
    return pruned


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
) -> None:
    """Train to the last step: equally long trainings stop nowhere early."""

    def no_score(_: nn.Module) -> float:
        return 0.0

    train(
        network,
        open_images(setting.source).training,
        recipe,
        seed=derive(seed, purpose, 0),
        device=CPU,
        validate=no_score,
        checks=1,
        teacher=teacher,
    )


def _score(setting: Setting, network: Network) -> float:
    metric = setting.task.metric
    return evaluate(network, setting.pairs, setting.task, CPU, (metric,)).mean[metric]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval by Student's t; infinite for one value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, float("inf")
    spread = statistics.stdev(values) / len(values) ** 0.5
    return mean, float(student.ppf(0.975, len(values) - 1)) * spread


def report(setting: Setting, rows: Sequence[Row], command: str) -> str:
    """The measurement as Markdown."""
    seeds = sorted({row.seed for row in rows})
    parents = {row.seed: row for row in rows if row.way == "parent"}
    size = next(iter(parents.values())).params
    lines = [
        "# Compression: is it worth it?",
        "",
        f"`{command}`",
        "",
        f"Task {setting.source.task}, parent of {size:,} parameters (width {setting.width}, two "
        f"stages of two window attentions), {setting.steps} + {setting.finish} steps of "
        f"{PROXY.batch} patches for every way, seeds {', '.join(map(str, seeds))}, scored on "
        f"{len(setting.pairs)} crops of at most {CROP_PX}x{CROP_PX} low-quality pixels. "
        "Differences are taken seed by seed; the intervals are 95 % by Student's t.",
        "",
        "| parameters | way | PSNR, dB | to the unpruned parent | taylor is better by |",
        "|---:|---|---:|---:|---:|",
        f"| {size:,} | parent | {_mean([r.score for r in parents.values()])} | | |",
    ]
    for cut in sorted({row.cut for row in rows} - {0.0}):
        taylor = {row.seed: row for row in rows if (row.way, row.cut) == ("taylor", cut)}
        for way in WAYS:
            mine = [row for row in rows if (row.way, row.cut) == (way, cut)]
            lines.append(_line(mine, parents, taylor))
    return "\n".join(lines) + "\n"


def _line(mine: Sequence[Row], parents: Mapping[int, Row], taylor: Mapping[int, Row]) -> str:
    """One way and one cut, over all seeds, held against the parent and `taylor` of each seed."""
    way, cut = mine[0].way, mine[0].cut
    loss = [row.score - parents[row.seed].score for row in mine]
    gain = [taylor[row.seed].score - row.score for row in mine]
    told = "" if way == "taylor" else _mean(gain, signed=True)
    params = round(statistics.fmean(row.params for row in mine))
    times = next(iter(parents.values())).params / params
    return (
        f"| {params:,} (−{cut:.0%}, parent {times:.2f} ×) | {way} | "
        f"{_mean([row.score for row in mine])} | {_mean(loss, signed=True)} | {told} |"
    )


def _mean(values: Sequence[float], *, signed: bool = False) -> str:
    mean, half = interval(values)
    return f"{mean:+.3f} ± {half:.3f}" if signed else f"{mean:.3f} ± {half:.3f}"
