"""What the report tells of each network: the final ones, then the other members of the front."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from budgets.budget import Size, format_count, format_time, parse_size
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError, ResultsError
from results.baselines import Baseline
from results.describe import describe_architecture
from results.models import ModelResult, read_exports
from results.objectives import (
    MISSING,
    Objective,
    format_gain,
    format_share,
    format_value,
    format_with_unit,
)
from results.report.pictures import diagram
from results.report.text import Change, pruning
from results.run import RunFolder, read_json_object, write_atomic
from results.run_view import RunView
from results.trials import Trial

FILE = "costs_by_part.json"
FORMAT = "lightir-costs-by-part"
VERSION = 1


@dataclass(frozen=True)
class Breakdown:
    """Where the cost of one network goes.

    Attributes:
        parts: (name, parameters, MACs) of stem, body and tail together and of each stage.
        kinds: (kind of work, MACs).
    """

    parts: tuple[tuple[str, int, int], ...] = ()
    kinds: tuple[tuple[str, int], ...] = ()


class Breakdowns:
    """Breakdowns of the networks of a report; what was counted once is read from the folder.

    Counting loads torch, which takes longer than all the rest of a report.
    """

    def __init__(self, folder: Path) -> None:
        """Read what earlier reports in `folder` counted; a damaged file counts as none."""
        self._path = folder / FILE
        self._known: dict[str, Breakdown] = {}
        try:
            plain = read_json_object(self._path, "the costs by part")
            if (plain.get("format"), plain.get("version")) == (FORMAT, VERSION):
                self._known = _ADAPTER.validate_python(plain.get("networks"))
        except (ResultsError, ValidationError):
            self._known = {}
        self._new = False

    def of(self, architecture: Architecture, size: Size) -> Breakdown:
        """Return the breakdown for an output of `size`; an empty one if it cannot be counted."""
        key = f"{architecture.id} {size}"
        if key not in self._known:
            try:
                self._known[key] = count(architecture, size)
            except BudgetError:
                return Breakdown()  # a report is no place to fail for a count
            self._new = True
        return self._known[key]

    def save(self) -> None:
        """Write the file if anything was counted anew.

        Raises:
            ResultsError: the folder cannot be written.
        """
        if self._new:
            networks = {key: asdict(breakdown) for key, breakdown in self._known.items()}
            plain = {"format": FORMAT, "version": VERSION, "networks": networks}
            write_atomic(self._path, json.dumps(plain) + "\n")


def count(architecture: Architecture, size: Size) -> Breakdown:
    """Count the parts of a network; they add up to its price.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    # Inside, since they load torch: a report of networks counted before opens without it.
    from budgets.breakdown import split_macs
    from budgets.parts import feature_size
    from budgets.price import skeleton_cost, stage_cost

    patch = architecture.stem.patch_size
    features = feature_size(architecture.scale, patch, architecture.window_multiple // patch, size)
    skeleton = skeleton_cost(architecture, features)
    parts = [("stem, body, tail", skeleton.params, skeleton.macs)]
    for number, stage in enumerate(architecture.stages):
        cost = stage_cost(stage, architecture.width, features)
        shared = 0 if number % architecture.stage_sharing else cost.shared_params
        parts.append((f"stage {number + 1}", shared + cost.slot_params, cost.macs))
    kinds = asdict(split_macs(architecture, size)).items()
    return Breakdown(tuple(parts), tuple((name.replace("_", "-"), macs) for name, macs in kinds))


_ADAPTER: TypeAdapter[dict[str, Breakdown]] = TypeAdapter(dict[str, Breakdown])

MAX_TRIALS = 30
"""Trials of the front that are drawn; a longer front is in the table."""


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """The score of one image, or of their mean, against the plain method."""

    name: str
    score: str
    baseline: str
    gain: str


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What an architecture is made of, drawn and counted.

    Attributes:
        picture: the diagram.
        parts: name, parameters, their share, MACs and their share of each part; empty if they
            could not be counted.
        kinds: kind of work, its MACs and their share.
        size: the output that the MACs are for.
    """

    picture: Markup
    parts: list[tuple[str, ...]]
    kinds: list[tuple[str, ...]]
    size: str


@dataclass(frozen=True, kw_only=True)
class FinalNetwork:
    """A final network with what is told of it."""

    model: ModelResult
    description: str
    anatomy: Anatomy
    changes: list[Change]
    scores: list[ScoreRow]
    times: list[tuple[str, str]]
    exports: list[list[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A trial on the front that was not trained to the end."""

    trial: Trial
    description: str
    anatomy: Anatomy


def networks(view: RunView, breakdowns: Breakdowns) -> list[FinalNetwork]:
    """Return the final networks, in the order of the run."""
    return [_network(view, breakdowns, model) for model in view.results]


def members(view: RunView, breakdowns: Breakdowns) -> list[Member]:
    """Return the trials on the front that did not become a final network."""
    final = {model.trial for model in view.results}
    others = [trial for trial in view.front if trial.number not in final]
    return [
        Member(
            trial=trial,
            description=_sentence(trial.architecture),
            anatomy=_anatomy(view, breakdowns, trial.architecture),
        )
        for trial in others[:MAX_TRIALS]
    ]


def _network(view: RunView, breakdowns: Breakdowns, model: ModelResult) -> FinalNetwork:
    rows = [_score_row(view, "mean", model.scores, model.baseline)]
    rows += [_score_row(view, i.name, i.scores, i.baseline) for i in model.images]
    return FinalNetwork(
        model=model,
        description=_sentence(model.architecture),
        anatomy=_anatomy(view, breakdowns, model.architecture),
        changes=pruning(view, model),
        scores=rows,
        times=[(size, format_time(ms)) for size, ms in model.latency.items()],
        exports=[
            [(str(key), str(value)) for key, value in entry.items()]
            for entry in read_exports(RunFolder(view.folder).model(model.id))
        ],
    )


def _sentence(architecture: Architecture) -> str:
    text = describe_architecture(architecture)
    return text[0].upper() + text[1:]


def _anatomy(view: RunView, breakdowns: Breakdowns, architecture: Architecture) -> Anatomy:
    size = _size(view, architecture)
    breakdown = breakdowns.of(architecture, size)
    return Anatomy(
        picture=diagram(architecture),
        parts=part_rows(breakdown),
        kinds=kind_rows(breakdown),
        size=str(size),
    )


def part_rows(breakdown: Breakdown) -> list[tuple[str, ...]]:
    """Return each part with its parameters, their share, its MACs and their share."""
    params = sum(p for _, p, _ in breakdown.parts)
    macs = sum(m for _, _, m in breakdown.parts)
    return [
        (name, f"{p:,}", format_share(p, params), format_count(m), format_share(m, macs))
        for name, p, m in breakdown.parts
    ]


def kind_rows(breakdown: Breakdown) -> list[tuple[str, ...]]:
    """Return each kind of work with its MACs and their share."""
    total = sum(macs for _, macs in breakdown.kinds)
    return [(name, format_count(m), format_share(m, total)) for name, m in breakdown.kinds]


def _size(view: RunView, architecture: Architecture) -> Size:
    """Return the output size that the run stated its costs at, else the custom of the field."""
    try:
        return parse_size(str(view.config.get("size", "")))
    except BudgetError:
        return Size(720, 1280) if architecture.scale > 1 else Size(256, 256)


def _score_row(
    view: RunView, name: str, scores: Mapping[str, float], baseline: Mapping[str, float]
) -> ScoreRow:
    axis = view.quality
    mine, plain = scores.get(axis.name, math.nan), baseline.get(axis.name, math.nan)
    return ScoreRow(
        name=name,
        score=format_value(axis, mine),
        baseline=format_value(axis, plain),
        gain=format_gain(mine - plain),
    )


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """One published system: own size, shrunk size, its score, and the best trial as cheap."""

    name: str
    published: list[str]
    shrunk: list[str]
    score: str
    best: str
    gain: str
    note: str


def cost_axes(view: RunView) -> list[Objective]:
    """Return the axes that are costs."""
    return [
        axis for axis in view.axes if any(axis.name in system.cost for system in view.baselines)
    ]


def system_rows(view: RunView) -> list[SystemRow]:
    """Return a row for each published system."""
    return [_row(view, system) for system in view.baselines]


def _row(view: RunView, system: Baseline) -> SystemRow:
    axis = view.metric
    score = system.scores.get(axis.name, math.nan)
    number, best = _best_within(view, system.shrunk_cost)
    trained = not math.isnan(score) and number is not None
    return SystemRow(
        name=system.name,
        published=_cells(view, system.cost),
        shrunk=_cells(view, system.shrunk_cost),
        score=format_with_unit(axis, score),
        best=f"{format_value(axis, best)} (trial {number})" if trained else MISSING,
        gain=format_gain(best - score) if trained else MISSING,
        note=system.reason,
    )


def _cells(view: RunView, cost: Mapping[str, float]) -> list[str]:
    return [format_value(axis, cost.get(axis.name)) for axis in cost_axes(view)]


def _best_within(view: RunView, cost: Mapping[str, float]) -> tuple[int | None, float]:
    """Return the best trial that is in no cost above `cost`."""
    axis = view.metric
    sign = 1 if axis.direction == "maximise" else -1
    names = [a.name for a in cost_axes(view) if a.name in cost]
    fair = [
        trial
        for trial in view.finished
        if axis.name in trial.scores
        and all(trial.cost.get(name, math.inf) <= cost[name] for name in names)
    ]
    if not names or not fair:
        return None, math.nan
    best = max(fair, key=lambda trial: sign * trial.scores[axis.name])
    return best.number, best.scores[axis.name]
