"""`compress` from end to end: a trained network in, a model folder within budget out.

parent ─► (train sparsely) ─► prune ─► fine-tune, the parent teaching ─► score ─► folder
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from budgets.assess import Target
from lightir_core import checkpoints, seeds
from lightir_core.data.image_source import ImageSource, open_images, whole_images
from lightir_core.data.tasks import Task, parse_task
from lightir_core.errors import DataError, SearchError
from lightir_core.learning.curve import Point
from lightir_core.learning.evaluate import evaluate, quick_score
from lightir_core.learning.recipe import Recipe
from lightir_core.network import Network, build
from lightir_core.pruning.channels import fold
from lightir_core.pruning.importance import find
from lightir_core.pruning.recovery import Distillation, Recovery, group_lasso, recover
from lightir_core.published.presets import PRESETS, preset
from lightir_core.published.weights import load_file
from results.models import RESULT, ModelResult, load_result
from results.run import RunFolder
from results.run_view import RunView, read_run
from search.compress.prune import Pruned, Pruning, check_target, prune
from search.config import load_config
from search.evaluators.score import keep_network

ROUND_SHARE = 0.2
"""Share of the recipe's steps that all rounds but the last are recovered with, together."""

SPARSE_SHARE = 0.5
"""Steps of the sparse training, as a share of the recipe's."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class Parent:
    """A network to compress, and what is known of it.

    Attributes:
        network: on the CPU, in eval mode.
        name: how to call it.
        source: task and images it was trained on; None where nobody said.
        trained: whether its weights are.
        trial: number of the trial it comes from, 0 otherwise.
        data: names and licences of the images it was trained on; empty where nobody said.
    """

    network: Network
    name: str
    source: ImageSource | None = None
    trained: bool = True
    trial: int = 0
    data: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])


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
    source: ImageSource
    recipe: Recipe
    without_data: bool = False
    pruning: Pruning
    distillation: Distillation
    sparsity: float = 0.0
    device: torch.device
    seed: int = 0


def compress(parent: Parent, how: Compression, out: Path, log: Log) -> ModelResult:
    """Prune `parent`, fine-tune what is left, score both, and write the result into `out`.

    Args:
        parent: left as it is.
        how: see `Compression`.
        out: a new folder; nothing is written before everything has worked.
        log: receives what happens, a line at a time.

    Raises:
        LightIRError: nothing to do, a budget out of reach, no usable data, or a folder that is not
            new.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SearchError(f"{out} exists already; choose another --out")
    task = how.source.task
    check_task(parent.network, parent.name, task)
    check_target(parent.network.architecture, how.target)
    data = None if how.without_data else open_images(how.source).training
    find(how.pruning.importance, data)
    begun = time.perf_counter()
    pruned, curve = _carry_out(parent, how, task, log)
    recipe = how.recipe.lasting(curve[-1][0]) if curve else None
    result = ModelResult(
        id=pruned.architecture.id,
        kind="pruned",
        trial=parent.trial,
        parent=parent.name,
        architecture=pruned.architecture,
        cost=pruned.cost.to_plain(),
        scores={},
        within_budget=how.target.budget.allows(pruned.cost),
        curve=curve,
        seconds=time.perf_counter() - begun,
        steps=recipe.steps if recipe else 0,
        recipe=asdict(recipe) if recipe else {},
        compression=_record(parent, how, pruned, task),
    )
    return keep_network(out, pruned.network, how.source, result, how.device)


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
    parent: Parent, how: Compression, task: Task, log: Log
) -> tuple[Pruned, tuple[Point, ...]]:
    """Return the pruned and recovered network, and the curve of its last training."""
    network = copy.deepcopy(parent.network).to(how.device)
    if how.without_data:
        pruned = prune(network, how.target, None, how.pruning)
        log(_describe(pruned))
        return pruned, ()
    recovery = Recovery(
        recipe=how.recipe.suited(sparse=task.is_sparse),
        distillation=how.distillation,
        data=open_images(how.source).training,
        validate=quick_score(how.source, how.device),
        device=how.device,
        seed=seeds.derive(how.seed, "fine-tune", 0),
    )
    teacher = copy.deepcopy(parent.network).requires_grad_(False)
    if how.sparsity:
        network = fold(network)
        penalty = group_lasso(network, how.sparsity, recovery.data, how.seed)
        steps = max(1, round(SPARSE_SHARE * how.recipe.steps))
        curve = recover(network, teacher, recovery, steps=steps, penalty=penalty)
        log(f"sparse training: {_path(curve)} in {curve[-1][0]} steps")
    steps = max(1, round(ROUND_SHARE * how.recipe.steps / max(1, how.pruning.iterations - 1)))

    def between(small: Network) -> None:
        curve = recover(small, teacher, recovery, steps=steps)
        log(f"between two rounds: {_path(curve)} in {curve[-1][0]} steps")

    pruned = prune(network, how.target, recovery.data, how.pruning, between)
    log(_describe(pruned))
    curve = recover(pruned.network, teacher, recovery)
    log(f"fine-tuning: {_path(curve)} in {curve[-1][0]} of {how.recipe.steps} steps")
    return pruned, curve


def _record(parent: Parent, how: Compression, pruned: Pruned, task: Task) -> dict[str, object]:
    """Return what the result says about how it came to be."""
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


def _describe(pruned: Pruned) -> str:
    gone = f" without {', '.join(map(str, pruned.dropped))}" if pruned.dropped else ""
    return (
        f"pruned to {pruned.cost.params:,} parameters, {pruned.cost.macs:,} MACs, width "
        f"{pruned.architecture.width}{gone}"
    )


def _path(curve: tuple[Point, ...]) -> str:
    best = max(score for _, score in curve)
    return f"{curve[0][1]:.2f} dB to {best:.2f} dB"


def open_parent(text: str, task: str | None, seed: int, weights: Path | None = None) -> Parent:
    """Return the network that `text` names.

    Args:
        text: a folder of a run, optionally with #TRIAL or #ID; a folder of a model; or a preset.
        task: what a preset restores.
        seed: of a preset's weights, if there are no others.
        weights: published ones of the preset.

    Raises:
        LightIRError: nothing of the kind is there, or it is damaged.
    """
    if weights is not None:
        network = load_file(text, weights)
        return Parent(network, text, ImageSource(task=parse_task(task)) if task else None)
    if text in PRESETS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(preset(text, task or "sr-x2")).eval()
        return Parent(network, text, trained=False)
    folder_name, _, member = text.partition("#")
    if not Path(folder_name).is_dir():
        raise SearchError(
            f"{folder_name}: there is no such folder; name a run, a model folder or a preset "
            f"({', '.join(PRESETS)})"
        )
    if RunFolder(Path(folder_name)).journal.is_file():
        return _of_run(Path(folder_name), member)
    if member:
        raise SearchError(f"{folder_name} is no run, so it has no #{member}; leave that out")
    return open_model(Path(folder_name))


def open_model(folder: Path) -> Parent:
    """Return the network in a model folder.

    If the folder is one of a run, also what it was trained on.

    Raises:
        LightIRError: as `lightir_core.checkpoints.load_model`, or a damaged result.
    """
    network = checkpoints.load_model(folder)
    result = load_result(folder) if (folder / RESULT).is_file() else None
    run = folder.resolve().parent.parent
    source = None
    if RunFolder(run).journal.is_file():
        source = _source(run)
    elif result is not None and result.task:
        source = ImageSource(task=parse_task(result.task))
    if result is None:
        return Parent(network, folder.name, source)
    return Parent(network, folder.name, source, trial=result.trial, data=_data(result))


def _of_run(run: Path, member: str) -> Parent:
    view = read_run(run)
    result = _find(view, member)
    if result is not None:
        network = checkpoints.load_model(RunFolder(run).model(result.id))
        return Parent(network, result.id, _source(run), trial=result.trial, data=_data(result))
    if not member:
        raise SearchError(f"{run} holds no finished network yet; name a trial such as {run}#0")
    for trial in view.finished:
        if member in (str(trial.number), trial.architecture.id):
            weights = RunFolder(run).checkpoints / f"trial-{trial.number:05d}.safetensors"
            with torch.random.fork_rng(devices=[]):
                network = build(trial.architecture)
            checkpoints.load_weights(weights, network)
            name = trial.architecture.id
            data = view.config.get("data", {})
            return Parent(network.eval(), name, _source(run), trial=trial.number, data=data)
    numbers = ", ".join(str(trial.number) for trial in view.front)
    raise SearchError(
        f"{run} has no finished trial or model {member!r}; its front is made of trials {numbers}"
    )


def _find(view: RunView, member: str) -> ModelResult | None:
    """Return the kept model that `member` names: by id, by trial, or the best if it names none."""
    if not member:
        return view.best
    named = [model for model in view.models if model.id == member]
    # of one trial the trained network, not what was pruned from it
    of_trial = [model for model in view.models if str(model.trial) == member]
    members = named or sorted(of_trial, key=lambda model: model.kind == "pruned")
    return members[0] if members else None


def _data(result: ModelResult) -> Mapping[str, list[str]]:
    """Return what a result was trained on since it was pruned, else what its parent was."""
    return result.data if result.data.get("training") else result.compression.get("parent_data", {})


def _source(run: Path) -> ImageSource:
    config = load_config(run)
    return ImageSource(
        task=parse_task(config.data.task), data=config.data.folders, val=config.data.val
    )
