"""What a run folder holds: read once for tables, plots and the report, or whenever it is asked for.

Reading is forgiving: only the journal must be there. Anything else that is missing or damaged
becomes a note, so that a run which is half written, still going on or went wrong can be looked at.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from budgets.budget import AXES, Budget
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError, ResultsError
from results.baselines import Baseline, read_baselines
from results.models import ModelResult, load_results
from results.objectives import COSTS, Objective, minimised, values_of
from results.pareto import MAX_OBJECTIVES, covered_shares, knee, pareto_front
from results.run import RunFolder, read_config
from results.study import Record
from results.trials import Trial

SECONDS = Objective(name="seconds", direction="minimise", unit="s", label="Training time")


def trial_front(trials: Sequence[Trial], axes: Sequence[Objective]) -> list[Trial]:
    """Return the finished trials that are non-dominated, best value of the first axis first."""
    finished = [trial for trial in trials if trial.state == "finished"]
    points = [minimised(axes, values_of(axes, t.scores, t.cost)) for t in finished]
    return [finished[index] for index in sorted(pareto_front(points), key=points.__getitem__)]


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One run as found in its folder.

    Attributes:
        folder: the run folder.
        objectives: what the search optimised.
        trials: all of them, in order.
        models: networks trained to the end or pruned, by trial, parents first, those over budget
            among them.
        config: config.json, or empty.
        baselines: the published systems beside the run.
        notes: what was missing or damaged.
    """

    folder: Path
    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    models: tuple[ModelResult, ...] = ()
    config: Mapping[str, Any]
    baselines: tuple[Baseline, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def finished(self) -> list[Trial]:
        """Return trials that have scores."""
        return [trial for trial in self.trials if trial.state == "finished"]

    @cached_property
    def front(self) -> list[Trial]:
        """Return the non-dominated trials, best value of the first objective first."""
        return self.front_of(self.objectives)

    @cached_property
    def knee(self) -> Trial | None:
        """Return the member of the front where giving up more stops paying."""
        index = knee([self.point(trial, self.objectives) for trial in self.front])
        return None if index is None else self.front[index]

    @cached_property
    def axes(self) -> tuple[Objective, ...]:
        """Return the objectives and every further cost that all trials know."""
        names = {objective.name for objective in self.objectives}
        costs = [
            axis
            for axis in COSTS.values()
            if axis.name not in names and all(axis.name in t.cost for t in self.finished)
        ]
        return (*self.objectives, *costs)

    @property
    def main_axes(self) -> tuple[Objective, Objective]:
        """Return the axes (x, y) that say most: a cost to the right, the score upwards."""
        others = [axis for axis in self.axes if axis.name != self.metric.name]
        costs = [axis for axis in others if axis.name == "macs"] or others
        return (costs or [self.metric])[0], self.metric

    @cached_property
    def metric(self) -> Objective:
        """Return the score that decides which network is best: the first objective that is one."""
        scored = [o for o in self.objectives if any(o.name in t.scores for t in self.finished)]
        better = [o for o in scored or self.objectives if o.direction == "maximise"]
        return (better or scored or list(self.objectives))[0]

    @cached_property
    def quality(self) -> Objective:
        """Return the score of the final networks: `metric`, or their PSNR if a proxy stood in."""
        names = [name for model in self.models for name in model.scores]
        if self.metric.name in names or not names:
            return self.metric
        label = names[0].upper().replace("_", "-")
        return Objective(name=names[0], direction="maximise", unit="dB", label=label)

    @cached_property
    def best(self) -> ModelResult | None:
        """Return the model with the best score among those not over budget."""
        sign = 1 if self.quality.direction == "maximise" else -1
        scored = {
            index: sign * model.scores.get(self.quality.name, math.nan)
            for index, model in enumerate(self.models)
            if model.within_budget is not False
        }
        scored = {index: score for index, score in scored.items() if not math.isnan(score)}
        return self.models[max(scored, key=scored.__getitem__)] if scored else None

    @cached_property
    def results(self) -> tuple[ModelResult, ...]:
        """Return the models but those that were over budget and only served to be pruned."""
        return tuple(model for model in self.models if model.kind != "parent")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return what the user asked for: task, budget, trials, steps, seed and so on."""
        return mapping(self.config.get("config"))

    @property
    def plain_method(self) -> Mapping[str, Any]:
        """Return name and scores of the plain method on the validation images."""
        return mapping(self.config.get("baseline"))

    @cached_property
    def limits(self) -> dict[str, float]:
        """Return the budget's limits by axis name, as far as they are plain numbers."""
        try:
            budget = Budget.parse(str(self.settings.get("budget", "")))
        except BudgetError:
            return {}  # a share of a preset, or none at all
        return {AXES[name].field: float(limit) for name, limit in budget.limits}

    def front_of(self, axes: Sequence[Objective]) -> list[Trial]:
        """Return the non-dominated trials in some axes, best value of the first one first."""
        return trial_front(self.finished, axes)

    def point(self, trial: Trial, axes: Sequence[Objective]) -> tuple[float, ...]:
        """Return the trial's values on some axes, smaller being better."""
        return minimised(axes, values_of(axes, trial.scores, trial.cost))

    @cached_property
    def hypervolume(self) -> list[tuple[int, float]]:
        """Return (trial number, covered share of the box between best values and reference).

        The reference lies a tenth of the observed span behind the worst value of each objective.
        Empty without a finished trial and with more than four objectives.
        """
        if not self.finished or len(self.objectives) > MAX_OBJECTIVES:
            return []
        points = [self.point(trial, self.objectives) for trial in self.finished]
        _, [shares] = covered_shares([points])
        return list(zip((trial.number for trial in self.finished), shares, strict=True))


def read_run(folder: Path) -> RunView:
    """Read a run folder.

    Raises:
        ResultsError: no such folder, or no readable journal in it.
    """
    record = Record.open(folder)
    notes: list[str] = []
    try:
        config = read_config(folder)
    except ResultsError as error:
        config = {}
        notes.append(str(error))
    try:
        baselines = read_baselines(folder)
    except ResultsError as error:
        baselines = []
        notes.append(str(error))
    return RunView(
        folder=folder,
        objectives=record.objectives,
        trials=tuple(record.trials()),
        models=tuple(load_results(folder, notes)),
        config=config,
        baselines=tuple(baselines),
        notes=tuple(notes),
    )


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value if it is a dict, else an empty one: configurations are read defensively."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


@dataclass(frozen=True, kw_only=True)
class BestModel:
    """A network of a run.

    Attributes:
        architecture: `lightir_core.network.build` makes a network of it.
        cost: params, macs and whatever else was counted.
        scores: what was measured.
        trial: number of the trial that it came from.
        folder: where its weights are, for `lightir_core.checkpoints.load_model`; None if the run
            kept none.
    """

    architecture: Architecture
    cost: Mapping[str, float]
    scores: Mapping[str, float]
    trial: int
    folder: Path | None = None


@dataclass(frozen=True)
class Run:
    """What the run in `folder` holds by now."""

    folder: Path

    @property
    def view(self) -> RunView:
        """Return everything that is known of it."""
        return read_run(self.folder)

    @property
    def findings(self) -> RunView:
        """Return `view` by its earlier name, with a warning."""
        warnings.warn("Run.findings is called Run.view now", FutureWarning, stacklevel=2)
        return self.view

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Return all trials, in order."""
        return self.view.trials

    @property
    def front(self) -> list[Trial]:
        """Return the non-dominated trials, best value of the first objective first."""
        return self.view.front

    @property
    def report(self) -> Path:
        """Return its report, one self-contained file."""
        return RunFolder(self.folder).report

    def best(
        self,
        *,
        params: float | None = None,
        macs: float | None = None,
        training_bytes: float | None = None,
        inference_bytes: float | None = None,
        latency_ms: float | None = None,
    ) -> BestModel:
        """Return the best network by its score that costs no more than what is given.

        Of those that were trained to the end, if the run has any; else of the trials.

        Raises:
            ResultsError: no network of the run is within these limits.
        """
        given = {
            "params": params,
            "macs": macs,
            "training_bytes": training_bytes,
            "inference_bytes": inference_bytes,
            "latency_ms": latency_ms,
        }
        limits = {name: limit for name, limit in given.items() if limit is not None}
        view = self.view
        metric = view.metric
        sign = 1 if metric.direction == "maximise" else -1
        within = [
            network
            for network in _networks(view)
            if all(network.cost.get(name, float("inf")) <= limit for name, limit in limits.items())
            and metric.name in network.scores
        ]
        if not within:
            asked = ", ".join(f"{name}={limit:,}" for name, limit in limits.items())
            raise ResultsError(
                f"no network of {self.folder} is within {asked or 'its budget'}; allow more, "
                f"or search with that budget"
            )
        return max(within, key=lambda network: sign * network.scores[metric.name])


def _networks(view: RunView) -> list[BestModel]:
    models = [m for m in view.results if m.within_budget is not False]
    if models:
        return [
            BestModel(
                architecture=model.architecture,
                cost=model.cost,
                scores=model.scores,
                trial=model.trial,
                folder=RunFolder(view.folder).model(model.id),
            )
            for model in models
        ]
    return [
        BestModel(
            architecture=trial.architecture,
            cost=trial.cost,
            scores=trial.scores,
            trial=trial.number,
        )
        for trial in view.finished
    ]
