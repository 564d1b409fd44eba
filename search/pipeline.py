"""The whole job, read from top to bottom.

    space -> search within budget -> front -> train on -> prune -> fine-tune -> evaluate -> report

Each step leaves its result in the run folder and is skipped if it is there already: `run` starts
a folder, `resume` walks the same way again and does what is missing.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from budgets.assess import Target
from budgets.budget import Budget
from lightir_core.checkpoints import load_model
from lightir_core.data.tasks import Task
from lightir_core.errors import BudgetError, RunFailedError, SearchError
from lightir_core.learning.distil import Teacher
from lightir_core.learning.recipe import Recipe
from lightir_core.seeds import derive
from results.models import ModelResult, load_results
from results.objectives import minimised, values_of
from results.pareto import pareto_front
from results.report.page import build_report
from results.run import read_config, remove_drafts, write_config
from results.study import Record, Trial, is_unused
from search.bank.prepare import prepare_bank
from search.baselines import check_rivals, stand_rivals
from search.callbacks import Callback, Stop, never
from search.compress.prune import Pruned, Pruning, prune
from search.config import SearchConfig, describe, find_space, load_config
from search.custom_objective import CUSTOM
from search.devices import torch_device
from search.engines.start import started
from search.evaluators.images import open_images
from search.evaluators.score import Finished, keep_model
from search.jobs import Driver, Job, JobQueue, Outcome
from search.pace import finishing_seconds
from search.plan import Plan, facts_of, make_plan
from search.planned import plan_search
from search.recipes import kept_recipes
from search.trainings import finish_job, tuning_jobs
from spaces import space_from_plain

FINISH_SHARE = 0.35
"""Share of the time left after the search that each of the two further trainings may take."""

LEAST_FINISH_STEPS = 50


def run(
    config: SearchConfig,
    folder: Path,
    callback: Callback,
    command: Sequence[str],
    stop: Stop = never,
) -> Path:
    """Do the whole job in a new run folder; the path of its report.

    Raises:
        KeyboardInterrupt: `stop` said so; what was running is finished and in the report.
        LightIRError: an impossible setting, no usable image, or a folder that is not new.
    """
    if folder.exists() and not (folder.is_dir() and is_unused(folder)):
        raise SearchError(
            f"{folder} exists already; choose another --out, or continue it with "
            f"`python -m search resume {shlex.quote(str(folder))}`"
        )
    check_rivals(config)
    plan = make_plan(config, folder, find_space(config.search.space, config.search.only))
    if "%" in config.search.budget:
        # a share of a preset becomes a number now: the record says what was held
        plan = replace(plan, config=plan.config.replace(budget=plan.target.budget.plain))
    replace(plan.feasible, budget=plan.target.budget).check()
    facts = facts_of(plan, command, callback)
    with (
        started(plan, callback) as driver,
        _new_record(plan, {**describe(plan.config), **facts}) as record,
    ):
        return _conduct(plan, record, driver, callback, stop)


def resume(
    folder: Path, callback: Callback, stop: Stop = never, address: str | None = None
) -> Path:
    """Go on where the run in `folder` stopped; the path of its report.

    Args:
        folder: of the run.
        callback: told about progress.
        stop: as `run`.
        address: of the cluster, if it is no longer where it was.

    Raises:
        KeyboardInterrupt: as `run`.
        LightIRError: not a run folder, a damaged one, or one that is in use.
    """
    known = read_config(folder)
    if known.get(CUSTOM):
        raise SearchError(
            f"the candidates of {folder} were scored by a program of your own; start that again "
            f"to go on with it"
        )
    # the space and the recipes of then, not what their names may mean today
    space, config = space_from_plain(known.get("space")), load_config(folder)
    recipes = kept_recipes(known.get("recipes"), config)
    config = config.replace(address=address or config.cluster.address)
    plan = make_plan(config, folder, space, recipes)
    with _known_record(plan) as record, started(plan, callback) as driver:
        remove_drafts(folder)
        return _conduct(plan, record, driver, callback, stop)


def _new_record(plan: Plan, config: dict[str, object]) -> Record:
    """A record that is there only if its folder's config.json is."""
    return Record.create(
        plan.folder.path,
        plan.objectives,
        plan.feasible.space.distributions(),
        prepare=lambda: write_config(plan.folder.path, config),
    )


def _known_record(plan: Plan) -> Record:
    """The record of a run; a new one if the run was killed before it had one.

    Raises:
        ResultsError: there is none, though the folder holds what came after it.
    """
    if is_unused(plan.folder.path, plan.folder.config.name):
        return _new_record(plan, read_config(plan.folder.path))
    return Record.open(plan.folder.path, write=True)


def _conduct(plan: Plan, record: Record, driver: Driver, callback: Callback, stop: Stop) -> Path:
    """The picture above, step by step; once `stop` says so only the report."""
    begun = time.monotonic()
    prepare_bank(plan, callback, stop)
    driver.drive(plan_search(plan, record, callback, begun + plan.config.search.search_s, stop))
    if not stop():
        stand_rivals(plan, driver, begun + plan.config.search.trials_s, callback, stop)
        finalists = _finalists(plan, record)
        recipe = _affordable(plan, finalists, begun, callback)
        trained = list(_train_on(plan, finalists, recipe, driver, callback, stop))
        if not stop():
            _compress(plan, trained, recipe, driver, callback, stop)
    callback.phase("report", 1)
    report = build_report(plan.folder.path)
    if stop():
        raise KeyboardInterrupt
    return report


def _finalists(plan: Plan, record: Record) -> list[Trial]:
    """The best of the front by its first objective.

    Raises:
        SearchError: no trial has finished; the reasons are told.
    """
    finished = [trial for trial in record.trials() if trial.state == "finished"]
    if not finished:
        reasons = {trial.reason for trial in record.trials() if trial.reason}
        raise RunFailedError(
            f"no trial finished: {'; '.join(sorted(reasons)) or 'none was started'}"
        )
    points = [
        minimised(record.objectives, values_of(record.objectives, t.scores, t.cost))
        for t in finished
    ]
    front = sorted(pareto_front(points), key=lambda index: points[index])
    return [finished[index] for index in front[: plan.config.training.finalists]]


def _affordable(plan: Plan, finalists: Sequence[Trial], begun: float, callback: Callback) -> Recipe:
    """The recipe for further training, shortened if the time limit asks for it."""
    config, recipe = plan.config, plan.recipes.finish
    if not config.search.time_s:
        return recipe
    left_s = config.search.time_s - (time.monotonic() - begun)
    step_s = max(finishing_seconds(plan, trial) for trial in finalists)
    affordable = int(FINISH_SHARE * left_s / step_s) if step_s else recipe.steps
    steps = min(recipe.steps, max(affordable, LEAST_FINISH_STEPS))
    if steps < recipe.steps:
        callback.note(f"time is short: {steps} further steps in place of {recipe.steps}")
    return recipe.lasting(steps)


def _train_on(
    plan: Plan,
    finalists: Sequence[Trial],
    recipe: Recipe,
    driver: Driver,
    callback: Callback,
    stop: Stop,
) -> Iterator[ModelResult]:
    """Train the finalists further and keep them as models."""
    callback.phase("train on", len(finalists))
    known = {m.trial: m for m in load_results(plan.folder.path) if m.kind != "pruned"}
    jobs = [finish_job(plan, trial, recipe) for trial in finalists if trial.number not in known]
    queue = JobQueue(jobs, stop)
    driver.drive(queue)
    outcomes = {job.number: (job, outcome) for job, outcome in queue.outcomes}
    for trial in finalists:
        model = known.get(trial.number)
        if model is None and trial.number in outcomes:  # it is missing if the user stopped
            model = _keep(plan, *outcomes[trial.number], callback)
        if model is not None:
            over = ", over budget: to be pruned" if model.kind == "parent" else ""
            callback.item(_in_words(model, plan.task) + over)
            yield model


def _compress(
    plan: Plan,
    trained: Sequence[ModelResult],
    recipe: Recipe,
    driver: Driver,
    callback: Callback,
    stop: Stop,
) -> None:
    """Bring every finalist within budget, the parents teaching; if all are, prune the best."""
    parents = [model for model in trained if model.kind == "parent"]
    callback.phase("prune and fine-tune", len(parents) or 1)
    done = {model.parent for model in load_results(plan.folder.path) if model.kind == "pruned"}
    if not parents and done:
        return
    pruned = _pruned(plan, [m for m in parents if m.id not in done], callback)
    if not parents:
        pruned = _smaller(plan, trained, callback)
    jobs = {job.number: (job, parent) for job, parent in tuning_jobs(plan, pruned, recipe)}

    def keep(job: Job, outcome: Outcome) -> None:
        model = _keep(plan, job, outcome, callback, jobs[job.number][1])
        if model is not None:
            callback.item(_in_words(model, plan.task))

    driver.drive(JobQueue((job for job, _ in jobs.values()), stop, keep))


def _pruned(
    plan: Plan, parents: Sequence[ModelResult], callback: Callback
) -> list[tuple[ModelResult, Pruned]]:
    """Each parent with what it is within the budget; a note on those that cannot be."""
    found: list[tuple[ModelResult, Pruned]] = []
    for parent in parents:
        try:
            found.append((parent, _prune_to(plan, parent, plan.target)))
        except (SearchError, BudgetError) as error:
            callback.note(f"{parent.id}: {error}")
    return found


def _smaller(
    plan: Plan, trained: Sequence[ModelResult], callback: Callback
) -> list[tuple[ModelResult, Pruned]]:
    """The best network that can lose the share of its parameters that the settings name."""
    for parent in sorted(trained, key=lambda model: -model.scores[plan.task.metric]):
        params = round(parent.cost["params"] * (1 - plan.config.compression.prune))
        target = Target(Budget.parse(f"params={params}"), plan.target.cost_settings)
        try:
            return [(parent, _prune_to(plan, parent, target))]
        except (SearchError, BudgetError) as error:
            callback.note(str(error))
    callback.note("no network could be pruned")
    return []


def _prune_to(plan: Plan, parent: ModelResult, target: Target) -> Pruned:
    return prune(
        load_model(plan.folder.model(parent.id)),
        target,
        open_images(plan.source).training,
        _pruning(plan, parent),
    )


def _pruning(plan: Plan, parent: ModelResult) -> Pruning:
    return Pruning(seed=derive(plan.config.search.seed, "prune", parent.trial))


def _record(plan: Plan, parent: ModelResult) -> dict[str, object]:
    """What a pruned model says about how it came to be, as `compress` has it."""
    return {
        "parent": parent.id,
        "parent_cost": parent.cost,
        "parent_scores": parent.scores,
        "parent_data": parent.data,
        "budget": plan.target.budget.text,
        "pruning": asdict(_pruning(plan, parent)),
        "distillation": {"weight": Teacher.weight, "features": Teacher.features},
    }


def _keep(
    plan: Plan, job: Job, outcome: Outcome, callback: Callback, parent: ModelResult | None = None
) -> ModelResult | None:
    """Keep what a job trained as a model of the run; None, with a note, if the training failed."""
    if outcome.reason is not None:
        callback.note(f"{job.architecture.id} was not trained on: {outcome.reason}")
        return None
    recipe = job.recipe
    if outcome.restart is not None:
        recipe = recipe.gentler()
        callback.note(f"{job.architecture.id} {outcome.restart.text}")
    within = plan.target.fits(job.architecture)
    finished = Finished(
        kind="pruned" if parent else "trained" if within else "parent",
        trial=job.number,
        parent=parent.id if parent else None,
        architecture=job.architecture,
        cost=plan.feasible.price(job.architecture),
        outcome=outcome,
        recipe=recipe,
        compression=_record(plan, parent) if parent else {},
    )
    return keep_model(
        plan.folder.path,
        job.weights,
        plan.source,
        finished,
        plan.target.budget,
        torch_device(plan.config),
    )


def _in_words(model: ModelResult, task: Task) -> str:
    score, baseline = model.scores[task.metric], model.baseline[task.metric]
    return (
        f"{model.id}: {model.cost['params']:,} parameters, {score:.2f} dB "
        f"({score - baseline:+.2f} dB to {task.baseline_name})"
    )
