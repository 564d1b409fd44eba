"""`compress` from end to end: a trained network in, a model folder within budget out.

parent ─► (train sparsely) ─► prune ─► fine-tune, the parent teaching ─► score ─► folder
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from lightir_core.data.tasks import Task, parse_task
from lightir_core.errors import DataError, SearchError
from lightir_core.learning.curve import Point
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.recipe import Recipe
from lightir_core.network import Network
from lightir_core.seeds import derive
from results.models import ModelResult
from search.compress.fold import fold
from search.compress.importance import find
from search.compress.parent import Parent
from search.compress.plan import Target
from search.compress.prune import Pruned, Pruning, check_target, prune
from search.compress.recover import Distillation, Recovery, recover
from search.compress.sparsify import group_lasso
from search.evaluators.images import open_images, quick_score, whole_images
from search.evaluators.score import Finished, keep_network
from search.jobs import Outcome, Source

ROUND_SHARE = 0.2
"""Share of the recipe's steps that all rounds but the last are recovered with, together."""

SPARSE_SHARE = 0.5
"""Steps of the sparse training, as a share of the recipe's."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Compression:
    """How a network is to be compressed.

    Attributes:
        target: what the result may cost.
        source: task and images.
        recipe: of the last training.
        without_data: look at no image but to score: no fine-tuning, and only importances that
            need none.
        pruning: how channels are chosen.
        distillation: how much the parent teaches.
        sparsity: share of the loss that a sparsity penalty has in a training before pruning; 0
            leaves that out.
        device: where to work.
        seed: decides all that is random.
    """

    target: Target
    source: Source
    recipe: Recipe
    without_data: bool = False
    pruning: Pruning
    distillation: Distillation
    sparsity: float = 0.0
    device: torch.device
    seed: int = 0


def compress(parent: Parent, how: Compression, out: Path, say: Say) -> ModelResult:
    """Prune `parent`, fine-tune what is left, score both, and write the result into `out`.

    Args:
        parent: left as it is.
        how: see `Compression`.
        out: a new folder; nothing is written before everything has worked.
        say: told what happens.

    Raises:
        LightIRError: nothing to do, a budget out of reach, no usable data, or a folder that is not
            new.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SearchError(f"{out} exists already; choose another --out")
    task = parse_task(how.source.task)
    check_task(parent.network, parent.name, task)
    check_target(parent.network.architecture, how.target)
    data = None if how.without_data else open_images(how.source).training
    find(how.pruning.importance, data)
    begun = time.perf_counter()
    pruned, curve = _carry_out(parent, how, task, say)
    finished = Finished(
        kind="pruned",
        trial=parent.trial,
        parent=parent.name,
        architecture=pruned.architecture,
        cost=pruned.cost,
        outcome=Outcome(number=parent.trial, curve=curve, seconds=time.perf_counter() - begun),
        recipe=how.recipe.lasting(curve[-1][0]) if curve else None,
        compression=_record(parent, how, pruned, task),
    )
    budget = how.target.budget
    return keep_network(out, pruned.network, how.source, finished, budget, how.device)


def check_task(network: Network, name: str, task: Task) -> None:
    """Make sure that a network does what a task asks for.

    Raises:
        DataError: its channels or its scale are others.
    """
    architecture = network.architecture
    mine = architecture.scale, architecture.in_channels, architecture.out_channels
    if mine != (task.scale, task.in_channels, task.out_channels):
        raise DataError(
            f"{name} takes {mine[1]} channels to {mine[2]} and enlarges by {mine[0]}; the task "
            f"needs {task.in_channels} to {task.out_channels} and {task.scale}; name its own task "
            "with --task"
        )


def _carry_out(
    parent: Parent, how: Compression, task: Task, say: Say
) -> tuple[Pruned, tuple[Point, ...]]:
    """The pruned and recovered network, and the curve of its last training."""
    network = copy.deepcopy(parent.network).to(how.device)
    if how.without_data:
        pruned = prune(network, how.target, None, how.pruning)
        say(_in_words(pruned))
        return pruned, ()
    recovery = _recovery(how, task)
    teacher = copy.deepcopy(parent.network).requires_grad_(False)
    if how.sparsity:
        network = fold(network)
        penalty = group_lasso(network, how.sparsity, recovery.data, how.seed)
        steps = max(1, round(SPARSE_SHARE * how.recipe.steps))
        curve = recover(network, teacher, recovery, steps=steps, penalty=penalty)
        say(f"sparse training: {_path(curve)} in {curve[-1][0]} steps")
    steps = max(1, round(ROUND_SHARE * how.recipe.steps / max(1, how.pruning.iterations - 1)))

    def between(small: Network) -> None:
        curve = recover(small, teacher, recovery, steps=steps)
        say(f"between two rounds: {_path(curve)} in {curve[-1][0]} steps")

    pruned = prune(network, how.target, recovery.data, how.pruning, between)
    say(_in_words(pruned))
    curve = recover(pruned.network, teacher, recovery)
    say(f"fine-tuning: {_path(curve)} in {curve[-1][0]} of {how.recipe.steps} steps")
    return pruned, curve


def _recovery(how: Compression, task: Task) -> Recovery:
    return Recovery(
        recipe=how.recipe.suited(sparse=task.is_sparse),
        distillation=how.distillation,
        data=open_images(how.source).training,
        validate=quick_score(how.source, how.device),
        device=how.device,
        seed=derive(how.seed, "fine-tune", 0),
    )


def _record(parent: Parent, how: Compression, pruned: Pruned, task: Task) -> dict[str, object]:
    """What the result says about how it came to be."""
    network = parent.network.to(how.device).eval()
    pairs = whole_images(how.source)
    scores = evaluate(network, pairs, task, how.device, task.metrics).mean
    return {
        "parent": parent.name,
        "parent_trained": parent.trained,
        "parent_cost": how.target.cost(network.architecture).to_plain(),
        "parent_scores": scores,
        "parent_data": dict(parent.data),
        "budget": how.target.budget.text,
        "pruning": asdict(how.pruning),
        "sparsity": how.sparsity,
        "distillation": {} if how.without_data else asdict(how.distillation),
        "recipe": {} if how.without_data else asdict(how.recipe),
        "dropped": [str(drop) for drop in pruned.dropped],
        "seed": how.seed,
    }


def _in_words(pruned: Pruned) -> str:
    gone = f" without {', '.join(map(str, pruned.dropped))}" if pruned.dropped else ""
    return (
        f"pruned to {pruned.cost.params:,} parameters, {pruned.cost.macs:,} MACs, width "
        f"{pruned.architecture.width}{gone}"
    )


def _path(curve: tuple[Point, ...]) -> str:
    best = max(score for _, score in curve)
    return f"{curve[0][1]:.2f} dB to {best:.2f} dB"
