"""What a run folder holds, read once: the material of tables, plots and the report.

Reading is forgiving: only the journal must be there. Anything else that is missing or damaged
becomes a note, so that a run which is half written, still going on or went wrong can be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from lightir_core.errors import ResultsError
from results.baselines import Rival, read_rivals
from results.models import RESULT, ModelResult, load_result
from results.objectives import COSTS, Objective, minimised, values_of
from results.pareto import MAX_OBJECTIVES, hypervolume_history, knee, pareto_front, reference_point
from results.run import RunFolder, read_config
from results.study import Record
from results.trials import Trial

SECONDS = Objective(name="seconds", direction="minimise", unit="s", label="Training time")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """One run as found in its folder.

    Attributes:
        folder: the run folder.
        objectives: what the search optimised.
        trials: all of them, in order.
        models: networks trained to the end or pruned, by trial, parents first, those over budget
            among them.
        config: config.json, or empty.
        rivals: the published systems beside the run.
        notes: what was missing or damaged.
    """

    folder: Path
    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    models: tuple[ModelResult, ...] = ()
    config: Mapping[str, Any]
    rivals: tuple[Rival, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def finished(self) -> list[Trial]:
        """Trials that have scores."""
        return [trial for trial in self.trials if trial.state == "finished"]

    @cached_property
    def front(self) -> list[Trial]:
        """The non-dominated trials, best value of the first objective first."""
        return self.front_of(self.objectives)

    @cached_property
    def knee(self) -> Trial | None:
        """The member of the front where giving up more stops paying."""
        index = knee([self.point(trial, self.objectives) for trial in self.front])
        return None if index is None else self.front[index]

    @cached_property
    def axes(self) -> tuple[Objective, ...]:
        """The objectives and every further cost that all trials know."""
        names = {objective.name for objective in self.objectives}
        costs = [
            axis
            for axis in COSTS.values()
            if axis.name not in names and all(axis.name in t.cost for t in self.finished)
        ]
        return (*self.objectives, *costs)

    @cached_property
    def metric(self) -> Objective:
        """The score that tells which network is best: the first objective that is a score."""
        scored = [o for o in self.objectives if any(o.name in t.scores for t in self.finished)]
        better = [o for o in scored or self.objectives if o.direction == "maximise"]
        return (better or scored or list(self.objectives))[0]

    @cached_property
    def quality(self) -> Objective:
        """The score of the final networks: `metric`, or if a proxy stood in for it their PSNR."""
        names = [name for model in self.models for name in model.scores]
        if self.metric.name in names or not names:
            return self.metric
        label = names[0].upper().replace("_", "-")
        return Objective(name=names[0], direction="maximise", unit="dB", label=label)

    @cached_property
    def best(self) -> ModelResult | None:
        """The model with the best score among those not over budget."""
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
        """The models but those that were over budget and only served to be pruned."""
        return tuple(model for model in self.models if model.kind != "parent")

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the user asked for: task, budget, trials, steps, seed and so on."""
        return mapping(self.config.get("config"))

    @property
    def baseline(self) -> Mapping[str, Any]:
        """Name and scores of the plain method on the validation images."""
        return mapping(self.config.get("baseline"))

    def front_of(self, axes: Sequence[Objective]) -> list[Trial]:
        """The trials that are non-dominated in some axes, best value of the first one first."""
        points = [self.point(trial, axes) for trial in self.finished]
        return [self.finished[i] for i in sorted(pareto_front(points), key=points.__getitem__)]

    def point(self, trial: Trial, axes: Sequence[Objective]) -> tuple[float, ...]:
        """The trial's values on some axes, smaller being better."""
        return minimised(axes, values_of(axes, trial.scores, trial.cost))

    @cached_property
    def hypervolume(self) -> list[tuple[int, float]]:
        """(trial number, share of the box between the best values and the reference covered).

        The reference lies a tenth of the observed span behind the worst value of each objective.
        Empty without a finished trial and with more than four objectives.
        """
        if not self.finished or len(self.objectives) > MAX_OBJECTIVES:
            return []
        points = [self.point(trial, self.objectives) for trial in self.finished]
        reference = reference_point(points)
        ideal = [min(axis) for axis in zip(*points, strict=True)]
        box = math.prod(r - i for r, i in zip(reference, ideal, strict=True))
        history = hypervolume_history(points, reference)
        return [(t.number, v / box) for t, v in zip(self.finished, history, strict=True)]


def read_findings(folder: Path) -> Findings:
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
        rivals = read_rivals(folder)
    except ResultsError as error:
        rivals = []
        notes.append(str(error))
    return Findings(
        folder=folder,
        objectives=record.objectives,
        trials=tuple(record.trials()),
        models=tuple(_models(folder, notes)),
        config=config,
        rivals=tuple(rivals),
        notes=tuple(notes),
    )


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a dict, else an empty one: configurations are read defensively."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _models(folder: Path, notes: list[str]) -> list[ModelResult]:
    models: list[ModelResult] = []
    for path in sorted(RunFolder(folder).models.glob(f"*/{RESULT}")):
        try:
            models.append(load_result(path.parent))
        except ResultsError as error:
            notes.append(str(error))
    return sorted(models, key=lambda model: (model.trial, model.kind == "pruned", model.id))
