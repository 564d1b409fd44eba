"""The trainings of a run as jobs: of a candidate, of a finalist, of a pruned network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lightir_core.checkpoints import save_weights
from lightir_core.learning.recipe import Recipe
from lightir_core.seeds import derive
from results.models import ModelResult
from results.study import Trial
from search.compress.prune import Pruned
from search.evaluators.train import CHECKS
from search.feasible.candidate import Candidate
from search.jobs import Job
from search.plan import Plan


def trial_job(plan: Plan, number: int, candidate: Candidate, until: int) -> Job:
    """Score a candidate for the search, at a rung or at the end of its training."""
    untrained = plan.evaluator.kind == "zero-cost"
    recipe = plan.recipes.search
    steps = plan.rungs.ladder(number).steps
    evenly = {round(recipe.steps * (i + 1) / CHECKS) for i in range(CHECKS)} - {0}
    weights = _weights(plan, number)
    keep_s = plan.config.training.keep_s if plan.evaluator.kind == "train" else 0.0
    return Job(
        number=number,
        architecture=candidate.architecture,
        recipe=recipe,
        source=plan.source,
        # proxies are compared on one batch
        seed=derive(plan.config.search.seed, *(("proxy",) if untrained else ("train", number))),
        launch=plan.config.training.launch_mode,
        device=plan.device,
        weights=weights,
        evaluator=plan.evaluator,
        bank=plan.bank if plan.evaluator.kind == "bank" else None,
        checks=tuple(sorted(evenly | {*steps})),
        until=until,
        state=weights.with_suffix(".state") if len(steps) > 1 or keep_s else None,
        keep_s=keep_s,
    )


def _weights(plan: Plan, number: int) -> Path:
    return plan.folder.checkpoints / f"trial-{number:05d}.safetensors"


def tuning_jobs(
    plan: Plan, pruned: Sequence[tuple[ModelResult, Pruned]], recipe: Recipe
) -> Iterator[tuple[Job, ModelResult]]:
    """Fine-tune pruned networks; each job with the parent that teaches."""
    for parent, smaller in pruned:
        yield _tuning_job(plan, parent, smaller, recipe), parent


def finish_job(plan: Plan, trial: Trial, recipe: Recipe) -> Job:
    """Train a trial's network further, or at all if the search did not."""
    fresh, first = plan.evaluator.kind == "zero-cost", plan.recipes.search
    weights = plan.folder.checkpoints / f"finished-{trial.number:05d}.safetensors"
    return Job(
        number=trial.number,
        architecture=trial.architecture,
        recipe=first.lasting(first.steps + recipe.steps) if fresh else recipe,
        source=plan.source,
        seed=derive(plan.config.search.seed, "finish", trial.number),
        launch=plan.config.training.launch_mode,
        device=plan.device,
        weights=weights,
        start=None if fresh else _weights(plan, trial.number),
        state=_state(plan, weights, recipe),
        keep_s=plan.config.training.keep_s,
    )


def _tuning_job(plan: Plan, parent: ModelResult, pruned: Pruned, recipe: Recipe) -> Job:
    """Fine-tune a pruned network, its parent teaching."""
    start = plan.folder.checkpoints / f"pruned-{pruned.architecture.id}.safetensors"
    save_weights(start, pruned.network)
    weights = plan.folder.checkpoints / f"tuned-{pruned.architecture.id}.safetensors"
    return Job(
        number=parent.trial,
        architecture=pruned.architecture,
        recipe=recipe,
        source=plan.source,
        seed=derive(plan.config.search.seed, "fine-tune", parent.trial),
        launch=plan.config.training.launch_mode,
        device=plan.device,
        weights=weights,
        start=start,
        teacher=plan.folder.model(parent.id),
        state=_state(plan, weights, recipe),
        keep_s=plan.config.training.keep_s,
    )


def _state(plan: Plan, weights: Path, recipe: Recipe) -> Path | None:
    """Where such a training is kept on its way; one of another length is another training."""
    if not plan.config.training.keep_s:
        return None
    return weights.with_name(f"{weights.stem}-{recipe.steps}.state")
