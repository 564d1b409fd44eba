"""The whole job, read from top to bottom.

    space -> search within budget -> front -> train on -> prune -> fine-tune -> evaluate -> report

Each step leaves its result in the run folder and is skipped if it is there already: `run` starts
a folder, `resume` walks the same way again and does what is missing.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from budgets.budget import Budget
from lightir_core.checkpoints import load_model, save_weights
from lightir_core.data.tasks import Task, parse_task
from lightir_core.errors import BudgetError, RunFailedError, SearchError
from lightir_core.learning.recipe import FINISH, PROXY, Recipe
from results.models import ModelResult, load_results
from results.objectives import minimised, values_of
from results.pareto import pareto_front
from results.report import build_report
from results.run import RunFolder, read_config, write_config
from results.study import Record, Trial
from search.compress.plan import Target
from search.compress.prune import Pruned, Pruning, prune
from search.config import SearchConfig, describe, known, load_config
from search.engines.local import LocalEngine
from search.evaluators.images import describe_images, open_images
from search.evaluators.job import Job, Outcome, Source
from search.evaluators.score import Finished, keep_model, score_baseline
from search.evaluators.train import evaluate_candidate
from search.feasible import Candidate, Feasible
from search.listener import Listener
from search.loop import Engine, Limits, search
from search.objectives import objectives
from search.seeds import derive
from search.strategies import STRATEGIES, Setting
from search.terms import read_budget, read_sizes, terms_on
from spaces import (
    SPACES,
    Frame,
    Space,
    parse_only,
    read_space,
    space_from_plain,
    space_to_plain,
)

SEARCH_SHARE = 0.5
"""Share of the time limit for the search; the rest is for training on, pruning and the report."""

FINISH_SHARE = 0.35
"""Share of the time left after the search that each of the two further trainings may take."""


LEAST_FINISH_STEPS = 50


@dataclass(frozen=True)
class Plan:
    """A configuration with everything looked up: what the steps below work with.

    `feasible` is what the search may propose, up to `prune_from` times the budget; `target` is the
    budget itself, which every result keeps.
    """

    config: SearchConfig
    folder: RunFolder
    task: Task
    feasible: Feasible
    target: Target
    source: Source


def run(config: SearchConfig, folder: Path, listener: Listener, command: Sequence[str]) -> Path:
    """Do the whole job in a new run folder; the path of its report.

    Raises:
        LightIRError: an impossible setting, no usable image, or a folder that is not new.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SearchError(
            f"{folder} exists already; choose another --out, or continue it with "
            f"`python -m search resume {shlex.quote(str(folder))}`"
        )
    plan = _plan(config, folder, find_space(config.space, config.only))
    if "%" in config.budget:
        # a share of a preset becomes a number now: the record says what was held
        plan = replace(plan, config=replace(config, budget=plan.target.budget.plain))
    replace(plan.feasible, budget=plan.target.budget).check()
    facts = _facts(plan, command, listener)
    with Record.create(
        folder, objectives(config.objectives, plan.task), _dimensions(plan)
    ) as record:
        write_config(folder, {**describe(plan.config), **facts})
        return _conduct(plan, record, listener)


def resume(folder: Path, listener: Listener) -> Path:
    """Go on where the run in `folder` stopped; the path of its report.

    Raises:
        LightIRError: not a run folder, a damaged one, or one that is in use.
    """
    # the space of then, not what its name may mean today
    space = space_from_plain(read_config(folder).get("space"))
    plan = _plan(load_config(folder), folder, space)
    with Record.open(folder, write=True) as record:
        return _conduct(plan, record, listener)


def _conduct(plan: Plan, record: Record, listener: Listener) -> Path:
    """The picture above, step by step."""
    begun = time.monotonic()
    with _engine(plan.config) as engine:
        _search(plan, record, engine, listener, begun)
        finalists = _finalists(plan, record)
        recipe = _affordable(plan, finalists, begun, listener)
        trained = list(_train_on(plan, finalists, recipe, engine, listener))
        _compress(plan, trained, recipe, engine, listener)
    listener.phase("report", 1)
    return build_report(plan.folder.path)


def find_space(name: str, only: Sequence[str] = ()) -> Space:
    """The space called `name`, or in the file of that name, cut down to what `only` says.

    Raises:
        SpaceError: no such space, or one that `only` does not fit.
        SearchError: neither a known name nor a file.
    """
    space = read_space(Path(name)) if Path(name).is_file() else known("space", name, SPACES)
    return space.restrict(parse_only(only, space))


def _plan(config: SearchConfig, folder: Path, space: Space) -> Plan:
    task = parse_task(config.task)
    frame = Frame(task.scale, task.in_channels, task.out_channels)
    known("strategy", config.strategy, STRATEGIES)
    terms = terms_on(config.torch_device, read_sizes(config.at, task))
    budget = read_budget(config.budget, config.task, terms)
    # who asks for networks that fill the budget gets them by the search
    wide = budget if config.fill or config.prune_from == 1 else budget.scaled(config.prune_from)
    feasible = Feasible(space, frame, wide, terms.sizes[0], terms, config.fill)
    source = Source(task=config.task, data=config.data, val=config.val)
    return Plan(config, RunFolder(folder), task, feasible, Target(budget, terms), source)


def _facts(plan: Plan, command: Sequence[str], listener: Listener) -> dict[str, object]:
    """What `config.json` says beside the settings; reads the images, so it also checks them."""
    for note in open_images(plan.source).notes:
        listener.note(note)
    space = plan.feasible.space
    listener.item(
        f"space {space.name}: {format_size(space.size)} points, budget {plan.config.budget}"
    )
    kinds = objectives(plan.config.objectives, plan.task)
    return {
        "command": shlex.join(command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "objectives": [kind.to_plain() for kind in kinds],
        "baseline": score_baseline(plan.source),
        "data": describe_images(plan.source),
        "space": space_to_plain(plan.feasible.space),
        "space_size": str(plan.feasible.space.size),
        "size": str(plan.feasible.size),
    }


def format_size(points: int) -> str:
    """A number of points as digits while that can be read, else as a power of ten."""
    digits = str(points)
    return f"{points:,}" if len(digits) <= 9 else f"{digits[0]}.{digits[1]}e{len(digits) - 1}"


def _dimensions(plan: Plan) -> dict[str, tuple[str | int | float | bool, ...]]:
    return plan.feasible.space.distributions()


@contextmanager
def _engine(config: SearchConfig) -> Iterator[Engine]:
    with LocalEngine(evaluate_candidate, _died, config.worker_count) as engine:
        yield engine


def _died(job: Job) -> Outcome:
    return Outcome(number=job.number, reason="its worker process died twice (out of memory?)")


def _search(plan: Plan, record: Record, engine: Engine, listener: Listener, begun: float) -> None:
    config = plan.config
    setting = Setting(plan.feasible, record.objectives, config.generation, config.seed)
    deadline = begun + SEARCH_SHARE * config.time_s if config.time_s else float("inf")
    listener.phase("search", config.trials)
    search(
        STRATEGIES[config.strategy](setting),
        record,
        engine,
        lambda number, candidate: _trial_job(plan, number, candidate),
        Limits(config.trials, config.generation, deadline),
        listener,
    )


def _trial_job(plan: Plan, number: int, candidate: Candidate) -> Job:
    return Job(
        number=number,
        architecture=candidate.architecture,
        recipe=PROXY.lasting(plan.config.steps),
        source=plan.source,
        seed=derive(plan.config.seed, "train", number),
        device=str(plan.config.torch_device),
        weights=_weights(plan, number),
    )


def _weights(plan: Plan, number: int) -> Path:
    return plan.folder.checkpoints / f"trial-{number:05d}.safetensors"


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
    return [finished[index] for index in front[: plan.config.finalists]]


def _affordable(plan: Plan, finalists: Sequence[Trial], begun: float, listener: Listener) -> Recipe:
    """The recipe for further training, shortened if the time limit asks for it."""
    config = plan.config
    if not config.time_s:
        return FINISH.lasting(config.finish_steps)
    left_s = config.time_s - (time.monotonic() - begun)
    step_s = max((trial.seconds or 0.0) for trial in finalists) / config.steps
    affordable = int(FINISH_SHARE * left_s / step_s) if step_s else config.finish_steps
    steps = min(config.finish_steps, max(affordable, LEAST_FINISH_STEPS))
    if steps < config.finish_steps:
        listener.note(f"time is short: {steps} further steps in place of {config.finish_steps}")
    return FINISH.lasting(steps)


def _train_on(
    plan: Plan, finalists: Sequence[Trial], recipe: Recipe, engine: Engine, listener: Listener
) -> Iterator[ModelResult]:
    """Train the finalists further and keep them as models."""
    listener.phase("train on", len(finalists))
    known = {m.trial: m for m in load_results(plan.folder.path) if m.kind != "pruned"}
    jobs = [_finish_job(plan, trial, recipe) for trial in finalists if trial.number not in known]
    outcomes = {job.number: (job, outcome) for job, outcome in engine.run(jobs)}
    for trial in finalists:
        model = known.get(trial.number) or _keep(plan, *outcomes[trial.number], listener)
        if model is not None:
            over = ", over budget: to be pruned" if model.kind == "parent" else ""
            listener.item(_in_words(model, plan.task) + over)
            yield model


def _compress(
    plan: Plan, trained: Sequence[ModelResult], recipe: Recipe, engine: Engine, listener: Listener
) -> None:
    """Bring every finalist within budget, the parents teaching; if all are, prune the best."""
    parents = [model for model in trained if model.kind == "parent"]
    listener.phase("prune and fine-tune", len(parents) or 1)
    done = {model.parent for model in load_results(plan.folder.path) if model.kind == "pruned"}
    if not parents and done:
        return
    pruned = _pruned(plan, [m for m in parents if m.id not in done], listener)
    if not parents:
        pruned = _smaller(plan, trained, listener)
    jobs = {job.number: (job, parent) for job, parent in _tuning_jobs(plan, pruned, recipe)}
    for job, outcome in engine.run([job for job, _ in jobs.values()]):
        model = _keep(plan, job, outcome, listener, jobs[job.number][1])
        if model is not None:
            listener.item(_in_words(model, plan.task))


def _pruned(
    plan: Plan, parents: Sequence[ModelResult], listener: Listener
) -> list[tuple[ModelResult, Pruned]]:
    """Each parent with what it is within the budget; a note on those that cannot be."""
    found: list[tuple[ModelResult, Pruned]] = []
    for parent in parents:
        try:
            found.append((parent, _prune_to(plan, parent, plan.target)))
        except (SearchError, BudgetError) as error:
            listener.note(f"{parent.id}: {error}")
    return found


def _smaller(
    plan: Plan, trained: Sequence[ModelResult], listener: Listener
) -> list[tuple[ModelResult, Pruned]]:
    """The best network that can lose the share of its parameters that the settings name."""
    for parent in sorted(trained, key=lambda model: -model.scores[plan.task.metric]):
        params = round(parent.cost["params"] * (1 - plan.config.prune))
        target = Target(Budget.parse(f"params={params}"), plan.target.terms)
        try:
            return [(parent, _prune_to(plan, parent, target))]
        except (SearchError, BudgetError) as error:
            listener.note(str(error))
    listener.note("no network could be pruned")
    return []


def _prune_to(plan: Plan, parent: ModelResult, target: Target) -> Pruned:
    return prune(
        load_model(plan.folder.model(parent.id)),
        target,
        open_images(plan.source).training,
        Pruning(seed=derive(plan.config.seed, "prune", parent.trial)),
    )


def _tuning_jobs(
    plan: Plan, pruned: Sequence[tuple[ModelResult, Pruned]], recipe: Recipe
) -> Iterator[tuple[Job, ModelResult]]:
    for parent, smaller in pruned:
        yield _tuning_job(plan, parent, smaller, recipe), parent


def _finish_job(plan: Plan, trial: Trial, recipe: Recipe) -> Job:
    return Job(
        number=trial.number,
        architecture=trial.architecture,
        recipe=recipe,
        source=plan.source,
        seed=derive(plan.config.seed, "finish", trial.number),
        device=str(plan.config.torch_device),
        weights=plan.folder.checkpoints / f"finished-{trial.number:05d}.safetensors",
        start=_weights(plan, trial.number),
    )


def _tuning_job(plan: Plan, parent: ModelResult, pruned: Pruned, recipe: Recipe) -> Job:
    """Fine-tune a pruned network, its parent teaching."""
    start = plan.folder.checkpoints / f"pruned-{pruned.architecture.id}.safetensors"
    save_weights(start, pruned.network)
    return Job(
        number=parent.trial,
        architecture=pruned.architecture,
        recipe=recipe,
        source=plan.source,
        seed=derive(plan.config.seed, "fine-tune", parent.trial),
        device=str(plan.config.torch_device),
        weights=plan.folder.checkpoints / f"tuned-{pruned.architecture.id}.safetensors",
        start=start,
        teacher=plan.folder.model(parent.id),
    )


def _keep(
    plan: Plan, job: Job, outcome: Outcome, listener: Listener, parent: ModelResult | None = None
) -> ModelResult | None:
    """Keep what a job trained as a model of the run; None, with a note, if the training failed."""
    if outcome.reason is not None:
        listener.note(f"{job.architecture.id} was not trained on: {outcome.reason}")
        return None
    within = plan.target.fits(job.architecture)
    finished = Finished(
        kind="pruned" if parent else "trained" if within else "parent",
        trial=job.number,
        parent=parent.id if parent else None,
        architecture=job.architecture,
        cost=plan.feasible.price(job.architecture),
        outcome=outcome,
        recipe=job.recipe,
    )
    return keep_model(
        plan.folder.path,
        job.weights,
        plan.source,
        finished,
        plan.target.budget,
        plan.config.torch_device,
    )


def _in_words(model: ModelResult, task: Task) -> str:
    score, baseline = model.scores[task.metric], model.baseline[task.metric]
    return (
        f"{model.id}: {model.cost['params']:,} parameters, {score:.2f} dB "
        f"({score - baseline:+.2f} dB to {task.baseline_name})"
    )
