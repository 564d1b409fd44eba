"""A run's settings with everything looked up, and what its folder says of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from budgets.assess import Target, read_budget, read_sizes, settings_on
from lightir_core.data.tasks import Task, parse_task
from lightir_core.errors import SearchError
from results.objectives import Objective
from results.run import RunFolder
from search.callbacks import Callback
from search.config import SearchConfig, format_size, known
from search.devices import job_device, torch_device
from search.evaluators.choice import Choice, parse_evaluator
from search.evaluators.images import describe_images, open_images
from search.evaluators.score import score_baseline
from search.feasible.space import Feasible
from search.jobs import Source
from search.objectives import objectives, priced_axes
from search.recipes import Recipes, find_recipes, recipes_to_plain
from search.rungs import Rungs, rungs_for
from search.strategies import STRATEGIES
from spaces import (
    Space,
    TaskShape,
    space_to_plain,
)


@dataclass(frozen=True)
class Plan:
    """A configuration with everything looked up: what the steps below work with.

    `config` says the steps of both recipes, where the user left them to these.

    `feasible` is what the search may propose, up to `prune_from` times the budget; `target` is the
    budget itself, which every result keeps.

    `device` is torch's name of where each training runs, be it on this machine or on another.
    """

    config: SearchConfig
    folder: RunFolder
    task: Task
    feasible: Feasible
    target: Target
    source: Source
    rungs: Rungs
    recipes: Recipes
    device: str

    @property
    def evaluator(self) -> Choice:
        """How candidates are scored."""
        return parse_evaluator(self.config.search.evaluator)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What the search optimises."""
        return objectives(self.config.search.objectives, self.task, self.config.search.evaluator)

    @property
    def bank(self) -> Path:
        """Where the weight bank of the run is kept."""
        return self.folder.checkpoints / "bank.safetensors"


def make_plan(
    config: SearchConfig, folder: Path, space: Space, recipes: Recipes | None = None
) -> Plan:
    """Look everything up that `config` names, the recipes only if they are not given.

    Raises:
        LightIRError: an unknown name or an impossible setting.
    """
    recipes = recipes or find_recipes(config)
    steps, finish_steps = (recipe.steps for recipe in recipes.both)
    config = config.replace(steps=steps, finish_steps=finish_steps)
    task = parse_task(config.data.task)
    shape = TaskShape(task.scale, task.in_channels, task.out_channels)
    known("strategy", config.search.strategy, STRATEGIES)
    parse_evaluator(config.search.evaluator)
    # a limit on memory holds for every training of the run
    largest = max(recipes.both, key=lambda recipe: recipe.pixels)
    cost_settings = settings_on(
        torch_device(config),
        read_sizes(config.search.at, task),
        batch=largest.batch,
        patch_px=largest.patch_px,
    )
    budget = read_budget(config.search.budget, config.data.task, cost_settings)
    # who asks for networks that fill the budget gets them by the search
    wide = (
        budget
        if config.search.fill or config.compression.prune_from == 1
        else budget.scaled(config.compression.prune_from)
    )
    priced = priced_axes(config.search.objectives)
    feasible = Feasible(
        space, shape, wide, cost_settings.sizes[0], cost_settings, config.search.fill, priced
    )
    if config.search.fidelity != "none" and config.search.evaluator != "train":
        raise SearchError(
            f"fidelity {config.search.fidelity!r} compares trials while they train, which "
            f"evaluator {config.search.evaluator!r} does not do; use "
            f"--evaluator train or --fidelity none"
        )
    rungs = rungs_for(
        config.search.fidelity, config.training.steps, config.search.eta, config.search.rung
    )
    folders, target = RunFolder(folder), Target(budget, cost_settings)
    source = _source(config, recipes)
    device = job_device(config)
    return Plan(config, folders, task, feasible, target, source, rungs, recipes, device)


def _source(config: SearchConfig, recipes: Recipes) -> Source:
    """The images, those that are too small for one of the recipes left out."""
    greedy = max(recipes.both, key=lambda recipe: recipe.patch_px)
    return Source(
        task=config.data.task,
        data=config.data.folders,
        val=config.data.val,
        patch_px=greedy.patch_px,
        recipe=greedy.name,
    )


def facts_of(plan: Plan, command: Sequence[str], callback: Callback) -> dict[str, object]:
    """What `config.json` says beside the settings; reads the images, so it also checks them."""
    for note in open_images(plan.source).notes:
        callback.note(note)
    space = plan.feasible.space
    callback.item(
        f"space {space.name}: {format_size(space.size)} points, budget {plan.config.search.budget}"
    )
    kinds = plan.objectives
    return {
        "command": shlex.join(command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "objectives": [kind.to_plain() for kind in kinds],
        "baseline": score_baseline(plan.source),
        "data": describe_images(plan.source),
        "space": space_to_plain(plan.feasible.space),
        "recipes": recipes_to_plain(plan.recipes),
        "space_size": str(plan.feasible.space.size),
        "size": str(plan.feasible.size),
    }
