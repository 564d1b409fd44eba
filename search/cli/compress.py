"""`python -m search compress`: bring a trained network within a budget."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from budgets.assess import Target, reference_size, settings_on
from budgets.budget import AXES, Budget, parse_size
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.devices import find_device
from lightir_core.learning.recipe import Recipe
from lightir_core.pruning.importance import IMPORTANCES
from lightir_core.pruning.recovery import RECOVERY_RECIPES, Distillation
from results.models import ModelResult
from search.cli.options import Json, Quiet, absolute
from search.compress.job import Compression, Parent, open_parent
from search.compress.job import compress as bring_down
from search.compress.prune import Pruning
from search.config import known

NO_DATA = "none"

What = Annotated[
    str,
    typer.Argument(
        metavar="RUN|MODEL|PRESET",
        help="A run's folder, RUN#TRIAL, a model folder, or a preset.",
    ),
]
DataOrNone = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR[:WEIGHT]|none",
        help="Images, repeatable; default: the run's, or embedded ones. none: prune, no training.",
    ),
]
Distil = Annotated[
    float,
    typer.Option(help="Share of the loss that is the parent's output.", min=0, max=1),
]
Features = Annotated[
    float, typer.Option(help="Weight of the parent's attention maps in the loss.", min=0)
]
Sparsity = Annotated[
    float, typer.Option(help="Train sparsely first, with this share of the loss.", min=0)
]
Steps = Annotated[
    int | None, typer.Option(help="Most steps of fine-tuning; default: the recipe's.", min=1)
]


def compress(
    what: What,
    budget: Annotated[str, typer.Option(help="Hard limits: params=300k,macs=20G.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.")],
    task: Annotated[
        str | None, typer.Option(help="What it restores; default: as the run, or sr-x2.")
    ] = None,
    data: DataOrNone = None,
    val: Annotated[
        Path | None, typer.Option(help="Folder to score on; default: held out of --data.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A preset's published weights, a .pth file.")
    ] = None,
    importance: Annotated[str, typer.Option(help=f"{', '.join(IMPORTANCES)}.")] = "taylor",
    iterations: Annotated[int, typer.Option(help="Rounds of pruning.")] = 1,
    recipe: Annotated[
        str, typer.Option(help=f"Fine-tuning: {', '.join(RECOVERY_RECIPES)}.")
    ] = "quick",
    steps: Steps = None,
    distil: Distil = Distillation.weight,
    features: Features = Distillation.features,
    sparsity: Sparsity = 0.0,
    at: Annotated[str | None, typer.Option(help="Output size for MACs, WIDTHxHEIGHT.")] = None,
    seed: Annotated[int, typer.Option(help="Decides all that is random.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Prune a network to an exact budget and fine-tune it, its parent teaching.

    Example:  python -m search compress runs/mine --budget params=300k --out models/small
    """
    parent = open_parent(what, task, seed, weights)
    source = _source(parent, task, data, val)
    limits = Budget.parse(budget)
    where = find_device(device)
    size = parse_size(at) if at else reference_size(source.task)
    plan: Recipe = known("recipe", recipe, RECOVERY_RECIPES)
    how = Compression(
        target=Target(limits, settings_on(where, (size,))),
        source=source,
        recipe=plan.lasting(steps or plan.steps),
        without_data=data == [NO_DATA],
        pruning=Pruning(importance=importance, iterations=iterations, seed=seed),
        distillation=Distillation(weight=distil, features=features),
        sparsity=sparsity,
        device=where,
        seed=seed,
    )
    if not parent.trained:
        print(f"note: the preset {parent.name} has no trained weights", file=sys.stderr)
    result = bring_down(parent, how, out, _silent if quiet else _print_line)
    if as_json:
        print(json.dumps(_plain(out, result), indent=2))
    else:
        Console().print(_table(result, limits))
        print(out)


def _source(
    parent: Parent, task: str | None, data: list[str] | None, val: Path | None
) -> ImageSource:
    """Return the images that were named, else the parent's own, else the embedded ones."""
    known = parent.source or ImageSource(task=parse_task("sr-x2"))
    if not data and val is None:
        return replace(known, task=parse_task(task) if task else known.task)
    folders = () if data == [NO_DATA] else absolute(data)
    return ImageSource(
        task=parse_task(task) if task else known.task,
        data=folders,
        val=str(val.resolve()) if val else None,
    )


def _print_line(text: str) -> None:
    print(text, file=sys.stderr)


def _silent(_: str) -> None:
    pass


def _plain(out: Path, result: ModelResult) -> dict[str, object]:
    return {
        "folder": str(out),
        "id": result.id,
        "cost": result.cost,
        "scores": result.scores,
        "baseline": result.baseline,
        "within_budget": result.within_budget,
        "compression": result.compression,
    }


def _table(result: ModelResult, budget: Budget) -> Table:
    """Show costs and scores before and after."""
    before = result.compression
    table = Table("", "parent", "pruned", "budget", box=None)
    shown = dict.fromkeys(["params", "macs", *(axis for axis, _ in budget.limits)])
    for name in shown:
        axis = AXES[name]
        limit = budget.limit(name)
        table.add_row(
            name,
            _cost(name, before["parent_cost"][axis.field]),
            _cost(name, result.cost[axis.field]),
            ""
            if limit is None
            else f"{axis.format(limit)}, {result.cost[axis.field] / limit:.2%} used",
        )
    for metric, score in result.scores.items():
        table.add_row(metric, f"{before['parent_scores'][metric]:.4f}", f"{score:.4f}", "")
    return table


def _cost(name: str, value: float) -> str:
    return f"{value:,}" if name in ("params", "macs") else AXES[name].format(value)
