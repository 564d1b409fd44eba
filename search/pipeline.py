"""The whole job, read from top to bottom.

    space -> search within budget -> front -> train on -> prune -> fine-tune -> evaluate -> report

Each step leaves its result in the run folder and is skipped if it is there already: `run` starts
a folder, `resume` walks the same way again and does what is missing.
"""

import math
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from budgets.assess import Target
from budgets.budget import Budget
from lightir_core import checkpoints, seeds
from lightir_core.data.image_source import open_images
from lightir_core.errors import BudgetError, RunFailedError, SearchError
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Teacher
from lightir_core.network import build
from results.models import ModelResult, load_results
from results.objectives import format_duration
from results.run import RunFolder, read_config, remove_drafts, write_config
from results.run_view import trial_front
from results.study import Record, Trial, is_unused
from search.baselines import evaluate_baselines
from search.compress.prune import Pruned, Pruning, prune
from search.config import CUSTOM, SearchConfig, describe, load_config
from search.engines.start import started
from search.evaluators.score import keep_network
from search.forecast import KEEPING_S, TEACHING
from search.jobs import Callback, Driver, Job, JobQueue, Outcome, Stop, never
from search.plan import NOTHING, More, Plan, facts_of, make_plan, torch_device, worker_count
from search.recipes import kept_recipes
from search.trainings import (
    affordable_trials,
    finish_job,
    finishing_seconds,
    plan_search,
    tuning_job,
)
from spaces import find_space, space_from_plain

FINISH_SHARE = 0.75
"""Share of the time left that further trainings may take: of finalists, then of the pruned."""

PUNCTUAL = 0.9
"""Of the steps that fit into a time, so many are planned: few trainings are late then."""

LEAST_FINISH_STEPS, LEAST_SHARE = 50, 0.02
"""However short the time is: steps, and share of the limit."""


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
    plan = make_plan(config, folder, find_space(config.search.space, config.search.only))
    if config.search.time_s and not config.search.trials:
        plan = replace(plan, config=plan.config.replace(trials=affordable_trials(plan)))
    if "%" in config.search.budget:
        # a share of a preset becomes a number now: the record says what was held
        plan = replace(plan, config=plan.config.replace(budget=plan.target.budget.plain))
    replace(plan.feasible, budget=plan.target.budget).check()
    facts = facts_of(plan, command, callback)
    with (
        started(plan, callback) as driver,
        _new_record(plan, {**describe(plan.config), **facts}) as record,
    ):
        return _Steps(plan, driver, callback, stop).all(record)


def resume(
    folder: Path,
    callback: Callback,
    stop: Stop = never,
    address: str | None = None,
    more: More = NOTHING,
) -> Path:
    """Go on where the run in `folder` stopped; the path of its report.

    Args:
        folder: of the run.
        callback: told about progress.
        stop: as `run`.
        address: of the cluster, if it is no longer where it was.
        more: that it is to do.

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
    # without a record it was killed before it had begun
    is_new = is_unused(folder, RunFolder(folder).config.name)
    begun = 0 if is_new else len(Record.open(folder))
    config = more.added(config, begun)
    plan = make_plan(config, folder, space, recipes)
    if not config.search.trials:
        plan = replace(plan, config=plan.config.replace(trials=begun + affordable_trials(plan)))
    with (
        _new_record(plan, known) if is_new else Record.open(folder, write=True) as record,
        started(plan, callback) as driver,
    ):
        if more != NOTHING:
            write_config(folder, {**known, "config": plan.config.flat()})
        remove_drafts(folder)
        return _Steps(plan, driver, callback, stop).all(record)


def _new_record(plan: Plan, config: dict[str, object]) -> Record:
    """Return a record that is there only if its folder's config.json is."""
    return Record.create(
        plan.folder.path,
        plan.objectives,
        plan.feasible.space.distributions(),
        prepare=lambda: write_config(plan.folder.path, config),
    )


@dataclass(frozen=True)
class _Steps:
    """The steps of the picture above, for one run."""

    plan: Plan
    driver: Driver
    callback: Callback
    stop: Stop

    def all(self, record: Record) -> Path:
        """Do one after the other; once `stop` says so only the report. Its path."""
        plan, settings, begun = self.plan, self.plan.config.search, time.monotonic()
        if settings.time_s:
            self.callback.item(
                f"time: {format_duration(settings.search_s)} for about {settings.trials} "
                f"candidates, what is left of {format_duration(settings.time_s)} for the best"
            )
        search = plan_search(plan, record, self.callback, begun + settings.search_s, self.stop)
        self.driver.drive(search)
        if not self.stop():
            deadline = begun + settings.trials_s
            evaluate_baselines(plan, self.driver, deadline, self.callback, self.stop)
            finalists = self._finalists(record)
            trained = self._train_on(finalists, begun)
            if not self.stop():
                self._compress(trained, finalists, begun)
        self.callback.phase("report", 1)
        from results.report.page import build_report  # seconds, which a search need not begin with

        report = build_report(plan.folder.path)
        if self.stop():
            raise KeyboardInterrupt
        return report

    def _finalists(self, record: Record) -> list[Trial]:
        """Return the best of the front by its first objective.

        Raises:
            RunFailedError: no trial has finished; the reasons are told.
        """
        trials = record.trials()
        finalists = trial_front(trials, record.objectives)[: self.plan.config.training.finalists]
        if not finalists:
            reasons = {trial.reason for trial in trials if trial.reason}
            raise RunFailedError(
                f"no trial finished: {'; '.join(sorted(reasons)) or 'none was started'}"
            )
        return finalists

    def _seconds(self, trainings: int, begun: float) -> float:
        """Return how long each of some further trainings may take; 0 if there is no limit."""
        limit_s = self.plan.config.search.time_s
        left_s = limit_s - (time.monotonic() - begun) - KEEPING_S * trainings
        rounds = math.ceil(trainings / worker_count(self.plan.config))
        return max(LEAST_SHARE * limit_s, FINISH_SHARE * left_s / rounds)

    def _recipe(self, finalists: Sequence[Trial], limit_s: float, dearer: float = 1.0) -> Recipe:
        """Return the recipe of further training, over as many steps as there is time for.

        Args:
            finalists: the dearest of which decides.
            limit_s: of each training; 0 is no limit.
            dearer: a step beside one of a finalist.
        """
        recipe, asked = self.plan.recipes.finish, self.plan.config.training.finish_steps
        step_s = dearer * max(finishing_seconds(self.plan, trial) for trial in finalists)
        if not limit_s or not step_s:
            return recipe
        steps = max(LEAST_FINISH_STEPS, int(PUNCTUAL * limit_s / step_s))
        if steps < asked:
            self.callback.note(f"time is short: {steps} further steps in place of {asked}")
        return recipe.lasting(min(steps, asked) if asked else steps)

    def _train_on(self, finalists: Sequence[Trial], begun: float) -> list[ModelResult]:
        """Train the finalists further and keep them as models."""
        self.callback.phase("train on", len(finalists))
        limit_s = self._seconds(len(finalists), begun)
        recipe = self._recipe(finalists, limit_s)
        known = {m.trial: m for m in load_results(self.plan.folder.path) if m.kind != "pruned"}
        waiting = [trial for trial in finalists if trial.number not in known]
        jobs = [finish_job(self.plan, trial, recipe, limit_s) for trial in waiting]
        self.driver.drive(queue := JobQueue(jobs, self.stop))
        outcomes = {job.number: (job, outcome) for job, outcome in queue.outcomes}
        models: list[ModelResult] = []
        for trial in finalists:
            model = known.get(trial.number)
            if model is None and trial.number in outcomes:  # it is missing if the user stopped
                model = self._keep(*outcomes[trial.number])
            if model is not None:
                over = ", over budget: to be pruned" if model.kind == "parent" else ""
                self.callback.item(self._describe(model) + over)
                models.append(model)
        return models

    def _compress(
        self, trained: Sequence[ModelResult], finalists: Sequence[Trial], begun: float
    ) -> None:
        """Bring every finalist within budget, the parents teaching; if all are, prune the best."""
        parents = [model for model in trained if model.kind == "parent"]
        self.callback.phase("prune and fine-tune", len(parents) or 1)
        results = load_results(self.plan.folder.path)
        done = {model.parent for model in results if model.kind == "pruned"}
        if not parents and done:
            return
        pruned = self._pruned([m for m in parents if m.id not in done])
        if not parents:
            pruned = self._smaller(trained)
        parent_of = {parent.trial: parent for parent, _ in pruned}
        limit_s = self._seconds(len(pruned) or 1, begun)
        recipe = self._recipe(finalists, limit_s, TEACHING)
        jobs = (tuning_job(self.plan, *pair, recipe, limit_s) for pair in pruned)

        def keep(job: Job, outcome: Outcome) -> None:
            model = self._keep(job, outcome, parent_of[job.number])
            if model is not None:
                self.callback.item(self._describe(model))

        self.driver.drive(JobQueue(jobs, self.stop, keep))

    def _pruned(self, parents: Sequence[ModelResult]) -> list[tuple[ModelResult, Pruned]]:
        """Return each parent with what it is within the budget; a note on those that cannot be."""
        pairs: list[tuple[ModelResult, Pruned]] = []
        for parent in parents:
            try:
                pairs.append((parent, self._prune(parent, self.plan.target)))
            except (SearchError, BudgetError) as error:
                self.callback.note(f"{parent.id}: {error}")
        return pairs

    def _smaller(self, trained: Sequence[ModelResult]) -> list[tuple[ModelResult, Pruned]]:
        """Return the best network that can lose the share of parameters that the settings name."""
        plan = self.plan
        for parent in sorted(trained, key=lambda model: -model.scores[plan.task.metric]):
            params = round(parent.cost["params"] * (1 - plan.config.compression.prune))
            target = Target(Budget.parse(f"params={params}"), plan.target.cost_settings)
            try:
                return [(parent, self._prune(parent, target))]
            except (SearchError, BudgetError) as error:
                self.callback.note(str(error))
        self.callback.note("no network could be pruned")
        return []

    def _prune(self, parent: ModelResult, target: Target) -> Pruned:
        network = checkpoints.load_model(self.plan.folder.model(parent.id))
        return prune(network, target, open_images(self.plan.source).training, self._pruning(parent))

    def _pruning(self, parent: ModelResult) -> Pruning:
        return Pruning(seed=seeds.derive(self.plan.config.search.seed, "prune", parent.trial))

    def _compression(self, parent: ModelResult) -> dict[str, object]:
        """Return what a pruned model says about how it came to be, as `compress` has it."""
        return {
            "parent": parent.id,
            "parent_cost": parent.cost,
            "parent_scores": parent.scores,
            "parent_data": parent.data,
            "budget": self.plan.target.budget.text,
            "pruning": asdict(self._pruning(parent)),
            "distillation": {"weight": Teacher.weight, "features": Teacher.features},
        }

    def _keep(
        self, job: Job, outcome: Outcome, parent: ModelResult | None = None
    ) -> ModelResult | None:
        """Keep what a job trained as a model; None, with a note, if the training failed."""
        plan, architecture, recipe = self.plan, job.architecture, job.recipe
        if outcome.reason is not None:
            self.callback.note(f"{architecture.id} was not trained on: {outcome.reason}")
            return None
        if outcome.note is not None:
            self.callback.note(f"{architecture.id}: {outcome.note}")
        restart = {}
        if outcome.restart is not None:
            recipe, restart = recipe.gentler(), {"restart": outcome.restart.text}
            self.callback.note(f"{architecture.id} {outcome.restart.text}")
        cost, within = plan.feasible.price(architecture), plan.target.fits(architecture)
        result = ModelResult(
            id=architecture.id,
            kind="pruned" if parent else "trained" if within else "parent",
            trial=job.number,
            parent=parent.id if parent else None,
            architecture=architecture,
            cost=cost.to_plain(),
            scores={},
            within_budget=plan.target.budget.allows(cost),
            curve=outcome.curve,
            crop_scores=outcome.scores,
            seconds=outcome.seconds,
            steps=recipe.steps,
            recipe={**asdict(recipe), **restart},
            compression=self._compression(parent) if parent else {},
        )
        network = build(architecture)
        checkpoints.load_weights(job.weights, network)
        folder = plan.folder.model(architecture.id)
        return keep_network(folder, network, plan.source, result, torch_device(plan.config))

    def _describe(self, model: ModelResult) -> str:
        task = self.plan.task
        score, baseline = model.scores[task.metric], model.baseline[task.metric]
        return (
            f"{model.id}: {model.cost['params']:,} parameters, {score:.2f} dB "
            f"({score - baseline:+.2f} dB to {task.baseline_name})"
        )
