"""A run's settings with everything looked up, and what its folder says of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from budgets.assess import Target, read_budget, read_sizes, settings_on
from lightir_core.data.image_source import ImageSource, describe_images, open_images
from lightir_core.data.tasks import Task, parse_task
from lightir_core.devices import find_device
from lightir_core.errors import SearchError
from results.objectives import Objective
from results.run import RunFolder
from search.config import SearchConfig, cpu_count, format_size, known
from search.evaluators.score import score_baseline
from search.feasible.space import Feasible
from search.jobs import Callback
from search.objectives import Evaluator, objectives, parse_evaluator, priced_axes
from search.recipes import Recipes, find_recipes, recipes_to_plain
from search.rungs import Rungs, rungs_for
from search.strategies import STRATEGIES
from spaces import (
    Space,
    TaskShape,
    space_to_plain,
)


def torch_device(config: SearchConfig) -> torch.device:
    """Return the device that this process uses; raises as `find_device`."""
    # on a cluster the GPUs are the workers', whatever the driver has
    on_workers = config.machine.engine == "ray" and config.machine.device == "cuda"
    return find_device("auto" if on_workers else config.machine.device)


def job_device(config: SearchConfig) -> str:
    """Return the device that trainings use, be it one of this machine or of another.

    Raises:
        SearchError: as `find_device`; or a GPU of a cluster without a share of it.
    """
    device, share = config.machine.device, config.cluster.gpus_per_trial
    if config.machine.engine == "local":
        return str(torch_device(config))
    if share and device == "cpu":
        raise SearchError(f"--gpus-per-trial {share:g} with --device cpu: leave one of the two out")
    if device not in ("auto", "cpu") and not share:
        raise SearchError(
            f"--device {device} on a cluster needs a share of a GPU for each training; "
            f"add --gpus-per-trial 1, or 0.5 to let two use one"
        )
    return "cuda" if share else "cpu"


def worker_count(config: SearchConfig) -> int:
    """Return how many trainings run at once: as asked, else one per core or one for a GPU."""
    if config.machine.workers:
        return config.machine.workers
    return 1 if torch_device(config).type == "cuda" else cpu_count()


TRIALS = 16
"""Of a search that nothing else limits."""

FINALISTS = 2
"""Unless time is limited and trainings follow each other: then one gets all of it."""


@dataclass(frozen=True)
class More:
    """What a run is to do beyond what it was asked for at first.

    Attributes:
        trials: candidates in all, or with a plus so many more; None leaves it at as many.
        time_s: of all that follows; None leaves it at what it was.
    """

    trials: str | None = None
    time_s: float | None = None

    def added(self, config: SearchConfig, begun: int) -> SearchConfig:
        """Return the settings of the longer run, of which `begun` candidates are there already.

        Raises:
            SearchError: no number, or fewer than there are.
        """
        if self.time_s is not None:  # 0: as many as there is time for
            trials = 0 if self.time_s else config.search.trials
            config = config.replace(time_s=self.time_s, trials=trials)
        if self.trials is None:
            return config
        if not re.fullmatch(r"\+?\d{1,9}", self.trials):
            raise SearchError(
                f"--trials {self.trials!r} is no number; write 64, or +32 for so many more"
            )
        total = int(self.trials) + begun * self.trials.startswith("+")
        if total < begun:
            raise SearchError(
                f"{begun} candidates were begun already; ask for more, or for +{total} more"
            )
        return config.replace(trials=total)


NOTHING = More()


@dataclass(frozen=True)
class Plan:
    """A configuration with everything looked up once: what every step works with.

    `config` says the steps of both recipes, and how many candidates and finalists there are, where
    the user left that open; the steps of finalists are 0 where `--time` decides.

    `feasible` is what the search may propose, up to `prune_from` times the budget; `target` is the
    budget itself, which every result keeps.

    `device` is torch's name of where each training runs, be it on this machine or on another.
    """

    config: SearchConfig
    folder: RunFolder
    task: Task
    evaluator: Evaluator
    objectives: tuple[Objective, ...]
    feasible: Feasible
    target: Target
    source: ImageSource
    rungs: Rungs
    recipes: Recipes
    device: str


def make_plan(
    config: SearchConfig, folder: Path, space: Space, recipes: Recipes | None = None
) -> Plan:
    """Look everything up that `config` names, the recipes only if they are not given.

    Raises:
        LightIRError: an unknown name or an impossible setting.
    """
    recipes = recipes or find_recipes(config)
    wanted, task = config.search, parse_task(config.data.task)
    steps, finish_steps = (recipe.steps for recipe in recipes.both)
    if wanted.time_s:  # 0: as many as there is time for
        finish_steps = config.training.finish_steps
    finalists = min(FINALISTS, worker_count(config)) if wanted.time_s else FINALISTS
    config = config.replace(
        steps=steps,
        finish_steps=finish_steps,
        trials=wanted.trials or TRIALS,
        finalists=config.training.finalists or finalists,
    )
    known("strategy", wanted.strategy, STRATEGIES)
    evaluator = parse_evaluator(wanted.evaluator)
    _check_trained(config, evaluator)
    # a limit on memory holds for every training of the run
    largest = max(recipes.both, key=lambda recipe: recipe.pixels)
    cost_settings = settings_on(
        torch_device(config),
        read_sizes(wanted.at, task),
        batch=largest.batch,
        patch_px=largest.patch_px,
    )
    target = Target(read_budget(wanted.budget, config.data.task, cost_settings), cost_settings)
    return Plan(
        config=config,
        folder=RunFolder(folder),
        task=task,
        evaluator=evaluator,
        objectives=objectives(wanted.objectives, task, evaluator),
        feasible=_feasible(config, task, space, target),
        target=target,
        source=_source(config, task, recipes),
        rungs=rungs_for(wanted.fidelity, steps, wanted.eta, wanted.rung),
        recipes=recipes,
        device=job_device(config),
    )


def _check_trained(config: SearchConfig, evaluator: Evaluator) -> None:
    """Refuse what needs trained candidates where they are not.

    Raises:
        SearchError: scores would be missing, or of another kind than the trials'.
    """
    wanted = config.search
    if wanted.presets and evaluator.kind != "train":
        raise SearchError(
            f"--presets trains published systems as trials are trained, but --evaluator "
            f"{wanted.evaluator} does not train them; leave one of the two out"
        )
    if wanted.fidelity != "none" and evaluator.kind != "train":
        raise SearchError(
            f"fidelity {wanted.fidelity!r} compares trials while they train, which evaluator "
            f"{wanted.evaluator!r} does not do; use --evaluator train or --fidelity none"
        )


def _feasible(config: SearchConfig, task: Task, space: Space, target: Target) -> Feasible:
    """Return what the search may propose."""
    wanted, prune_from = config.search, config.compression.prune_from
    shape = TaskShape(task.scale, task.in_channels, task.out_channels)
    # who asks for networks that fill the budget gets them by the search
    exact = bool(wanted.fill) or prune_from == 1
    budget = target.budget if exact else target.budget.scaled(prune_from)
    settings, priced = target.cost_settings, priced_axes(wanted.objectives)
    return Feasible(space, shape, budget, settings.sizes[0], settings, wanted.fill, priced)


def _source(config: SearchConfig, task: Task, recipes: Recipes) -> ImageSource:
    """Return the images, those that are too small for one of the recipes left out."""
    greedy = max(recipes.both, key=lambda recipe: recipe.patch_px)
    return ImageSource(
        task=task,
        data=config.data.folders,
        val=config.data.val,
        patch_px=greedy.patch_px,
        recipe=greedy.name,
    )


def facts_of(plan: Plan, command: Sequence[str], callback: Callback) -> dict[str, object]:
    """Return what `config.json` says beside the settings.

    Reads the images, so it also checks them.
    """
    for note in open_images(plan.source).notes:
        callback.note(note)
    space = plan.feasible.space
    callback.item(
        f"space {space.name}: {format_size(space.size)} points, budget {plan.config.search.budget}"
    )
    return {
        "command": shlex.join(command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "objectives": [objective.to_plain() for objective in plan.objectives],
        "baseline": score_baseline(plan.source),
        "data": describe_images(plan.source),
        "space": space_to_plain(plan.feasible.space),
        "recipes": recipes_to_plain(plan.recipes),
        "space_size": str(plan.feasible.space.size),
        "size": str(plan.feasible.size),
    }
