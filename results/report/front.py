"""The figure of the front, over any two axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

from markupsafe import Markup

from budgets.budget import AXES as BUDGET_AXES
from budgets.budget import Budget
from lightir_core.errors import BudgetError
from results.findings import Findings
from results.formats import format_with_unit
from results.models import ModelResult
from results.objectives import Objective, values_of
from results.report.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Pixel,
    Scale,
    chart,
    circle,
    dots,
    line,
    link,
    scale,
    shape,
    text,
)
from results.trials import Trial

MAX_AXES = 4
"""Axes that are paired with each other: four make six charts."""

MAX_TITLED = 1200
"""Marks that get a hover text of their own; more would make the page slow and heavy."""


def pairs(findings: Findings) -> list[tuple[Objective, Objective]]:
    """Every pair (x, y) of axes worth a chart, the one that says most first.

    The score comes upwards, the cost to the right. A run with a single axis has none.
    """
    metric = findings.metric
    axes = [metric, *(axis for axis in findings.axes if axis.name != metric.name)][:MAX_AXES]
    return [(x, y) for y, x in combinations(axes, 2)]


def front_figure(findings: Findings, x: Objective, y: Objective) -> Markup:
    """All trials over two axes, the front of these two joined, the final networks on top."""
    front = findings.front_of((y, x))
    models = _placed(findings.models, x, y)
    values = [values_of((x, y), t.scores, t.cost) for t in findings.finished]
    values += [place for _, place in models]
    xs, ys = [v[0] for v in values], [v[1] for v in values]
    limit = _if_near(_limit(findings, x), xs)
    scales = scale([*xs, *limit], LEFT, RIGHT, log=True), scale(ys, BOTTOM, TOP, log=True)
    marks = [
        *_budget(limit, scales),
        *_trials(findings, front, (x, y), scales),
        *_front(findings, front, (x, y), scales),
        *_models(models, findings, scales),
        _better(x, y),
    ]
    name = f"{y.label} of {len(findings.finished)} trials over {x.label}"
    return chart((x, y), scales, marks, name)


def trial_title(findings: Findings, trial: Trial) -> str:
    """What shows when a trial's mark is pointed at."""
    values = values_of(findings.axes, trial.scores, trial.cost)
    words = [format_with_unit(a, v) for a, v in zip(findings.axes, values, strict=True)]
    return f"trial {trial.number}: {', '.join(words)}"


def _trials(
    findings: Findings,
    front: Sequence[Trial],
    axes: tuple[Objective, Objective],
    scales: tuple[Scale, Scale],
) -> Iterator[Markup]:
    numbers = {trial.number for trial in front}
    behind = [trial for trial in findings.finished if trial.number not in numbers]
    if len(behind) > MAX_TITLED:
        yield dots([_place(trial, axes, scales) for trial in behind], "trial")
        return
    for trial in behind:
        yield circle(_place(trial, axes, scales), 3, "trial", trial_title(findings, trial))


def _front(
    findings: Findings,
    front: Sequence[Trial],
    axes: tuple[Objective, Objective],
    scales: tuple[Scale, Scale],
) -> Iterator[Markup]:
    places = {trial.number: _place(trial, axes, scales) for trial in front}
    yield line(sorted(places.values()), "accent")
    listed = {trial.number for trial in findings.front}
    for trial in front:
        knee = findings.knee is not None and trial.number == findings.knee.number
        title = trial_title(findings, trial) + (" (knee)" if knee else "")
        if knee:
            yield circle(places[trial.number], 8.5, "knee", title)
        mark = circle(places[trial.number], 4.5, "front", title)
        yield link(f"trial-{trial.number}", mark) if trial.number in listed else mark


def _models(
    models: Sequence[tuple[ModelResult, Pixel]], findings: Findings, scales: tuple[Scale, Scale]
) -> Iterator[Markup]:
    at = {model.id: (scales[0](x), scales[1](y)) for model, (x, y) in models}
    for model, _ in models:
        if model.parent in at:
            yield _arrow(at[model.parent], at[model.id])
    for model, _ in models:
        x, y = at[model.id]
        values = values_of(findings.axes, model.scores, model.cost)
        words = [format_with_unit(a, v) for a, v in zip(findings.axes, values, strict=True)]
        title = f"{model.kind} {model.id} (trial {model.trial}): {', '.join(words)}"
        corners = [(x - 5, y - 5), (x + 5, y - 5), (x + 5, y + 5), (x - 5, y + 5)]
        if model.kind == "pruned":
            corners = [(x - 6, y - 5), (x + 6, y - 5), (x, y + 6)]
        yield link(f"model-{model.id}", shape(corners, f"model {model.kind}", title))


def _arrow(start: Pixel, end: Pixel) -> Markup:
    """From a network to what was pruned from it, ending at the edge of its mark."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    if length < 20:
        return Markup("")
    ux, uy = dx / length, dy / length
    tip = (end[0] - 9 * ux, end[1] - 9 * uy)
    back = (tip[0] - 7 * ux, tip[1] - 7 * uy)
    wings = [(back[0] - 4 * uy, back[1] + 4 * ux), tip, (back[0] + 4 * uy, back[1] - 4 * ux)]
    shaft = [(start[0] + 7 * ux, start[1] + 7 * uy), tip]
    return line(shaft, "arrow") + line(wings, "arrow")


def _budget(limit: Sequence[float], scales: tuple[Scale, Scale]) -> Iterator[Markup]:
    for value in limit:
        x = scales[0](value)
        yield line([(x, TOP), (x, BOTTOM)], "limit")
        yield text((x - 5, BOTTOM - 8), "budget", "note", "end")


def _better(x: Objective, y: Objective) -> Markup:
    """Which corner is the good one, told above the chart: the corner itself is for networks."""
    up, right = y.direction == "maximise", x.direction == "maximise"
    arrow = {(True, False): "↖", (True, True): "↗", (False, False): "↙", (False, True): "↘"}
    return text((RIGHT, 16), f"{arrow[up, right]} better", "note", "end")


def _limit(findings: Findings, axis: Objective) -> float | None:
    """The budget's limit on an axis of the chart, if there is one in plain numbers."""
    try:
        budget = Budget.parse(str(findings.settings.get("budget", "")))
    except BudgetError:
        return None  # a share of a preset, or none at all: the line is left out
    for name, limit in budget.limits:
        if BUDGET_AXES[name].field == axis.name:
            return float(limit)
    return None


def _if_near(value: float | None, others: Sequence[float]) -> list[float]:
    """The value in a list if drawing it leaves the others at least two thirds of the axis."""
    finite = [v for v in others if math.isfinite(v)]
    if value is None or not math.isfinite(value) or not finite:
        return []
    low, high = min(finite), max(finite)
    room = 0.5 * (high - low)
    return [value] if low - room <= value <= high + room else []


def _placed(
    models: Sequence[ModelResult], x: Objective, y: Objective
) -> list[tuple[ModelResult, Pixel]]:
    """Models with both values known, and those values."""
    places = [(model, values_of((x, y), model.scores, model.cost)) for model in models]
    return [(m, (v[0], v[1])) for m, v in places if all(map(math.isfinite, v))]


def _place(trial: Trial, axes: Sequence[Objective], scales: tuple[Scale, Scale]) -> Pixel:
    x, y = values_of(axes, trial.scores, trial.cost)
    return scales[0](x), scales[1](y)
