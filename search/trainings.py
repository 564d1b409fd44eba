"""The search of a plan, and its trainings as jobs: of candidates, finalists and pruned networks."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from budgets.throughput import time_step
from lightir_core.checkpoints import save_weights
from lightir_core.errors import LightIRError
from lightir_core.learning.recipe import Recipe
from lightir_core.seeds import derive
from results.models import ModelResult
from results.objectives import Objective
from results.study import Record, Trial
from results.table import load_table
from search.compress.prune import Pruned
from search.config import SearchSettings
from search.evaluators.evaluate import CHECKS
from search.feasible.candidate import Candidate
from search.jobs import Callback, Job, Stop, never
from search.loop import Limits, Search
from search.plan import Plan, torch_device, worker_count
from search.starts import published_starts
from search.strategies import GUIDED, STRATEGIES, Scenario
from search.strategies.strategy import Predictor

FEWEST = 8
"""Trainings that fit into the time of a search even if each takes as long as any may."""

LEAST_S = 1.0
"""That a trial may take, however late it is begun."""


def plan_search(
    plan: Plan, record: Record, callback: Callback, deadline: float, stop: Stop = never
) -> Search:
    """Return the search of a plan, which ends at a limit of the configuration or for want of new.

    Args:
        plan: what is searched.
        record: of the trials; those in it are not run again.
        callback: told about progress.
        deadline: by `time.monotonic`, when no more trials begin.
        stop: likewise, when it says so.
    """
    config, starts = plan.config.search, tuple[Candidate, ...]()
    if config.start == "presets":
        starts = published_starts(plan.feasible, plan.target, plan.config.data.task)
    prior = find_prior(plan, record.objectives, callback) if config.strategy == GUIDED else None
    longest_s = _longest(config, prior, starts) if prior else math.inf
    scenario = Scenario(
        plan.feasible, record.objectives, config.generation, config.seed, starts, prior, longest_s
    )
    callback.phase("search", config.trials)
    return Search(
        STRATEGIES[config.strategy](scenario),
        record,
        lambda number, candidate, until: trial_job(plan, number, candidate, until, deadline),
        Limits(config.trials, config.generation, deadline, config.patience, stop),
        callback,
        plan.rungs,
        prior,
    )


def find_prior(plan: Plan, objectives: Sequence[Objective], callback: Callback) -> Predictor | None:
    """Return what is known of networks beforehand; None, with a note, where that is nothing."""
    if not any(objective.name == plan.task.metric for objective in objectives):
        return None  # nothing that the table knows is optimised
    from results.prior import Prior

    recipe = plan.recipes.search
    try:
        length, size = recipe.steps * recipe.pixels, plan.feasible.size
        task, pixels = plan.task, size.height * size.width
        prior = Prior(load_table(), task.name, task.metric, length, pixels)
    except LightIRError as error:
        callback.note(f"{error}; the search goes on without a prior")
        return None
    other = "" if prior.task == plan.task.name else f", of {prior.task}"
    callback.item(f"prior: learnt from {prior.count} trainings{other}")
    return prior


def _longest(config: SearchSettings, prior: Predictor, starts: Sequence[Candidate]) -> float:
    """Return the longest training that may be proposed, in the prior's seconds.

    Where time is limited it is for `trials` of a design in the middle, or a few of the longest.
    """
    if not (config.time_s and starts):
        return math.inf
    return float(np.median(prior.seconds(starts))) * config.trials / FEWEST


def affordable_trials(plan: Plan) -> int:
    """Return how many candidates there is time for, at least one for each worker.

    A step of a design in the middle of the published ones is measured.
    """
    config = plan.config.search
    starts = published_starts(plan.feasible, plan.target, plan.config.data.task)
    if not starts or plan.evaluator.kind != "train":
        return config.trials
    recipe = plan.recipes.search
    middling = sorted(starts, key=lambda start: start.cost.macs)[len(starts) // 2]
    step_s = time_step(middling.architecture, recipe, torch_device(plan.config))
    workers = worker_count(plan.config)
    return max(workers, math.ceil(workers * config.search_s / (recipe.steps * step_s)))


def trial_job(
    plan: Plan, number: int, candidate: Candidate, until: int, deadline: float = math.inf
) -> Job:
    """Return the job that scores a candidate, at a rung or at the end of its training.

    Without rungs it ends by `deadline`, by `time.monotonic`: a training that would be late leaves
    steps out. How long one takes is not known before: equal MACs may take four times as long.
    """
    untrained = plan.evaluator.kind == "zero-cost"
    recipe = plan.recipes.search
    steps = plan.rungs.ladder(number).steps
    evenly = {round(recipe.steps * (i + 1) / CHECKS) for i in range(CHECKS)} - {0}
    weights = _weights(plan, number)
    keep_s = plan.config.training.keep_s if plan.evaluator.kind == "train" else 0.0
    is_limited = math.isfinite(deadline) and len(steps) == 1
    return Job(
        number=number,
        architecture=candidate.architecture,
        recipe=recipe,
        source=plan.source,
        # proxies are compared on one batch
        seed=derive(plan.config.search.seed, *(("proxy",) if untrained else ("train", number))),
        launch_mode=plan.config.training.launch_mode,
        device=plan.device,
        weights=weights,
        evaluator=plan.evaluator,
        checks=tuple(sorted(evenly | {*steps})),
        until=until,
        limit_s=max(LEAST_S, deadline - time.monotonic()) if is_limited else 0.0,
        state=weights.with_suffix(".state") if len(steps) > 1 or keep_s else None,
        keep_s=keep_s,
    )


def _weights(plan: Plan, number: int) -> Path:
    return plan.folder.checkpoints / f"trial-{number:05d}.safetensors"


def finish_job(plan: Plan, trial: Trial, recipe: Recipe, limit_s: float) -> Job:
    """Return the job that trains a finalist further, or at all if the search did not."""
    fresh, first = plan.evaluator.kind == "zero-cost", plan.recipes.search
    weights = plan.folder.checkpoints / f"finished-{trial.number:05d}.safetensors"
    return Job(
        number=trial.number,
        architecture=trial.architecture,
        recipe=first.lasting(first.steps + recipe.steps) if fresh else recipe,
        source=plan.source,
        seed=derive(plan.config.search.seed, "finish", trial.number),
        launch_mode=plan.config.training.launch_mode,
        device=plan.device,
        weights=weights,
        limit_s=limit_s,
        start=None if fresh else _weights(plan, trial.number),
        state=_state(plan, weights, recipe),
        keep_s=plan.config.training.keep_s,
    )


def tuning_job(
    plan: Plan, parent: ModelResult, pruned: Pruned, recipe: Recipe, limit_s: float
) -> Job:
    """Return the job that fine-tunes a pruned network, its parent teaching; keep its weights."""
    start = plan.folder.checkpoints / f"pruned-{pruned.architecture.id}.safetensors"
    save_weights(start, pruned.network)
    weights = plan.folder.checkpoints / f"tuned-{pruned.architecture.id}.safetensors"
    return Job(
        number=parent.trial,
        architecture=pruned.architecture,
        recipe=recipe,
        source=plan.source,
        seed=derive(plan.config.search.seed, "fine-tune", parent.trial),
        launch_mode=plan.config.training.launch_mode,
        device=plan.device,
        weights=weights,
        limit_s=limit_s,
        start=start,
        teacher=plan.folder.model(parent.id),
        state=_state(plan, weights, recipe),
        keep_s=plan.config.training.keep_s,
    )


def finishing_seconds(plan: Plan, trial: Trial) -> float:
    """Return the seconds of a step that trains the network of a trial on.

    Taken from its training, or measured if it was scored without one.
    """
    recipe = plan.recipes.finish
    if plan.evaluator.kind == "train":
        return (trial.seconds or 0.0) * plan.recipes.longer / recipe.steps
    return time_step(trial.architecture, recipe, torch_device(plan.config))


def _state(plan: Plan, weights: Path, recipe: Recipe) -> Path | None:
    """Return where such a training is kept; one of another length is another training."""
    if not plan.config.training.keep_s:
        return None
    return weights.with_name(f"{weights.stem}-{recipe.steps}.state")
