"""What the report says in numbers and sentences, ready for the template."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from results.describe import stages_in_words
from results.findings import Findings, mapping
from results.formats import (
    MISSING,
    format_duration,
    format_gain,
    format_share,
    format_value,
    format_with_unit,
)
from results.models import ImageScore, ModelResult
from results.objectives import Objective, values_of
from results.report.points import limits_of

SCORED = {
    "train": "after the short training of the search",
    "bank": "with weights inherited from the bank",
    "zero-cost": "by a proxy, untrained",
}
"""Evaluator of the search -> what its scores are of."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One large number with what it is and what to think of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The answer: the best network, its numbers and what it is made of."""

    title: str
    figures: tuple[Figure, ...]
    width: int
    stages: tuple[str, ...]
    model: ModelResult | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One number before and after pruning."""

    label: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, kw_only=True)
class Move:
    """A chosen network before or after it was brought within budget; a cell for each axis."""

    trial: int
    state: str
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One reason and the trials that ended with it."""

    reason: str
    trials: tuple[int, ...]


def headline(findings: Findings) -> Headline | None:
    """The best network within budget, or the best trial so far; None when nothing finished."""
    model = findings.best
    if model is not None:
        title = {"trained": "trained to the end", "pruned": "pruned and fine-tuned"}[model.kind]
        return Headline(
            title=f"Best network: trial {model.trial}, {title}",
            figures=(
                _score_figure(findings, model.scores, model.baseline),
                *_cost_figures(findings, model.cost, model.within_budget),
            ),
            width=model.architecture.width,
            stages=tuple(stages_in_words(model.architecture)),
            model=model,
        )
    if not findings.front:
        return None
    trial = findings.front[0]
    return Headline(
        title=f"Best so far: trial {trial.number}, {_scored_how(findings)}",
        figures=(
            _score_figure(findings, {**trial.cost, **trial.scores}, {}),
            *_cost_figures(findings, trial.cost, _within(findings, trial.cost)),
        ),
        width=trial.architecture.width,
        stages=tuple(stages_in_words(trial.architecture)),
        model=None,
    )


def _scored_how(findings: Findings) -> str:
    evaluator = str(findings.settings.get("evaluator", "train")).partition(":")[0]
    return SCORED.get(evaluator, f"scored by {evaluator}")


def status(findings: Findings) -> str:
    """How far the run is, in one sentence."""
    counts = {
        state: sum(trial.state == state for trial in findings.trials)
        for state in ("finished", "stopped", "failed", "running")
    }
    asked = findings.settings.get("trials")
    total = f"{len(findings.trials)} of {asked}" if _is_short(findings) else len(findings.trials)
    told = [f"{n} {state}" for state, n in counts.items() if n or state == "finished"]
    words = f"{total} {'trial' if total == 1 else 'trials'}: {', '.join(told)}"
    if counts["running"]:
        words += "; the run is still going on, or was stopped and can be resumed"
    return words


def pruning(findings: Findings, model: ModelResult) -> list[Change]:
    """Costs and scores of a pruned network beside those of its parent; empty for others."""
    parent = next((m for m in findings.models if m.id == model.parent), None)
    if parent is None:
        return []
    changes: list[Change] = []
    befores = values_of(findings.axes, parent.scores, parent.cost)
    afters = values_of(findings.axes, model.scores, model.cost)
    for axis, before, after in zip(findings.axes, befores, afters, strict=True):
        is_cost = axis.name in model.cost
        changes.append(
            Change(
                label=axis.label,
                before=_full(axis, before),
                after=_full(axis, after),
                change=_percent(before, after) if is_cost else format_gain(after - before),
            )
        )
    return changes


def front_moves(findings: Findings) -> list[Move]:
    """The chosen networks before and after pruning, if any of them was over budget."""
    if all(model.kind != "parent" for model in findings.models):
        return []
    states = {
        "parent": "before, over budget",
        "pruned": "after, within budget",
        "trained": "within budget as it was",
    }
    moves: list[Move] = []
    for model in findings.models:
        values = values_of(findings.axes, model.scores, model.cost)
        cells = [_full(axis, value) for axis, value in zip(findings.axes, values, strict=True)]
        moves.append(Move(trial=model.trial, state=states[model.kind], cells=tuple(cells)))
    return moves


def failures(findings: Findings) -> list[Failure]:
    """Reasons of failure with their trials, the most frequent first."""
    reasons: dict[str, list[int]] = defaultdict(list)
    for trial in findings.trials:
        if trial.state == "failed":
            reasons[trial.reason or "no reason was recorded"].append(trial.number)
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    return [Failure(reason=reason, trials=tuple(numbers)) for reason, numbers in ordered]


def losses(findings: Findings) -> list[str]:
    """Trials whose worker was lost, with where it was and what became of them."""
    return [
        f"trial {trial.number}: {'; '.join(trial.losses)}"
        for trial in findings.trials
        if trial.losses
    ]


def restarts(findings: Findings) -> list[Failure]:
    """How trainings diverged and were begun again, with their trials."""
    words: dict[str, list[int]] = defaultdict(list)
    for trial in findings.trials:
        if trial.restart is not None:
            words[trial.restart.words].append(trial.number)
    return [Failure(reason=said, trials=tuple(numbers)) for said, numbers in words.items()]


def knee_words(findings: Findings) -> str:
    """Why the knee is worth a look; empty when the front has none."""
    knee, front = findings.knee, findings.front
    if knee is None or len(findings.objectives) != 2:
        return "" if knee is None else f"Trial {knee.number} is the knee of the front."
    if knee is front[0]:
        return f"Trial {knee.number} is the knee of the front."
    first, second = findings.objectives
    mine, best = (values_of(findings.objectives, t.scores, t.cost) for t in (knee, front[0]))
    return (
        f"Trial {knee.number} is the knee: {format_with_unit(first, mine[0])} for "
        f"{format_with_unit(second, mine[1])}. Going on to trial {front[0].number} brings "
        f"{first.label} to {format_with_unit(first, best[0])} and takes "
        f"{format_with_unit(second, best[1])}."
    )


def uncertainty(findings: Findings) -> str:
    """What is known of the spread of the scores; empty when nothing has finished."""
    if not findings.finished:
        return ""
    seed = findings.settings.get("seed")
    told = "Every number here is of one seed" + ("" if seed is None else f" ({seed})")
    images = findings.best.images if findings.best else ()
    gains = _gains(findings, images)
    if len(gains) >= 3:
        spread = statistics.stdev(gains)
        told += (
            f"; over the {len(gains)} validation images the gain of the best network is "
            f"{format_gain(statistics.mean(gains))} ± {spread:.2f} {findings.quality.unit} "
            f"(standard deviation)"
        )
    return told + ". The command compare tells the spread over runs with several seeds."


def _gains(findings: Findings, images: Sequence[ImageScore]) -> list[float]:
    name = findings.quality.name
    return [
        image.scores[name] - image.baseline[name]
        for image in images
        if math.isfinite(image.scores.get(name, math.nan) - image.baseline.get(name, math.nan))
    ]


def time_facts(findings: Findings) -> list[tuple[str, str]]:
    """When the run was made and how long it took."""
    starts = [trial.started for trial in findings.trials if trial.started]
    ends = [trial.finished for trial in findings.trials if trial.finished]
    facts = [("Started", _moment(str(findings.config.get("created", MISSING))))]
    if starts and ends:
        facts.append(("Search", format_duration((max(ends) - min(starts)).total_seconds())))
    seconds = [trial.seconds for trial in findings.trials if trial.seconds is not None]
    if seconds:
        facts.append(("Training of all trials", format_duration(sum(seconds))))
    if findings.models:
        total = sum(model.seconds for model in findings.models)
        facts.append(("Training of the final networks", format_duration(total)))
    return facts


def plain_lines(value: object) -> list[str]:
    """Any JSON value as lines of text: lists one a line, dicts as ``key: value``."""
    if isinstance(value, dict):
        items = cast("Mapping[str, Any]", value).items()
        return [f"{key}: {', '.join(plain_lines(item))}" for key, item in items]
    if isinstance(value, list | tuple):
        return [", ".join(plain_lines(item)) for item in cast("Sequence[Any]", value)]
    if isinstance(value, int) and value >= 10**15:
        return [f"{value:.3g}"]  # the size of a space has forty digits
    return [MISSING if value is None else str(value)]


def _score_figure(
    findings: Findings, scores: Mapping[str, float], baseline: Mapping[str, Any]
) -> Figure:
    axis = findings.quality if findings.quality.name in scores else findings.metric
    score, plain = scores.get(axis.name, math.nan), baseline.get(axis.name)
    note = ""
    if isinstance(plain, int | float) and not math.isnan(score):
        name = mapping(findings.config.get("baseline")).get("name", "the baseline")
        gain = format_gain(score - plain)
        note = f"{gain} {axis.unit} to {name} ({format_with_unit(axis, float(plain))})"
    return Figure(label=axis.label, value=format_with_unit(axis, score), note=note)


def _within(findings: Findings, cost: Mapping[str, float]) -> bool | None:
    """Whether a trial keeps the budget; None where that cannot be told."""
    limits = limits_of(findings)
    if not limits or any(name not in cost for name in limits):
        return None
    return all(cost[name] <= limit for name, limit in limits.items())


def _cost_figures(
    findings: Findings, cost: Mapping[str, float], within: bool | None
) -> list[Figure]:
    figures: list[Figure] = []
    size = findings.config.get("size")
    for axis in findings.axes:
        if axis.name not in cost or axis.name == findings.metric.name:
            continue
        note = f"for an output of {size}" if size and axis.name == "macs" else ""
        figures.append(Figure(label=axis.label, value=_full(axis, cost[axis.name]), note=note))
    if within is not None:
        budget = str(findings.settings.get("budget", "not recorded"))
        figures.append(
            Figure(label="Within budget", value="yes" if within else "no", note=f"budget {budget}")
        )
    return figures


def _full(axis: Objective, value: float) -> str:
    """Parameters to the last one, everything else rounded."""
    if axis.name == "params" and math.isfinite(value):
        return f"{int(value):,}"
    return format_value(axis, value) if axis.name == "macs" else format_with_unit(axis, value)


def _percent(before: float, after: float) -> str:
    if not before or math.isnan(before + after):
        return MISSING
    return format_share(after - before, before).replace("-", "−")


def _moment(text: str) -> str:
    """An ISO time to the minute, as it stands if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


def _is_short(findings: Findings) -> bool:
    asked = findings.settings.get("trials")
    return isinstance(asked, int) and len(findings.trials) < asked
