"""The published systems beside the run, as rows of a table, with what the search gained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from results.baselines import Rival
from results.findings import Findings
from results.formats import MISSING, format_gain, format_value, format_with_unit
from results.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """One published system: own size, shrunk size, its score, and the best trial as cheap."""

    name: str
    own: list[str]
    shrunk: list[str]
    score: str
    best: str
    gain: str
    note: str


def cost_axes(findings: Findings) -> list[Objective]:
    """The axes that are costs."""
    return [
        axis for axis in findings.axes if any(axis.name in rival.cost for rival in findings.rivals)
    ]


def system_rows(findings: Findings) -> list[SystemRow]:
    """A row for each published system."""
    return [_row(findings, rival) for rival in findings.rivals]


def _row(findings: Findings, rival: Rival) -> SystemRow:
    axis = findings.metric
    score = rival.scores.get(axis.name, math.nan)
    number, best = _best_within(findings, rival.shrunk_cost)
    trained = not math.isnan(score) and number is not None
    return SystemRow(
        name=rival.name,
        own=_cells(findings, rival.cost),
        shrunk=_cells(findings, rival.shrunk_cost),
        score=format_with_unit(axis, score),
        best=f"{format_value(axis, best)} (trial {number})" if trained else MISSING,
        gain=format_gain(best - score) if trained else MISSING,
        note=rival.reason,
    )


def _cells(findings: Findings, cost: Mapping[str, float]) -> list[str]:
    return [format_value(axis, cost.get(axis.name)) for axis in cost_axes(findings)]


def _best_within(findings: Findings, cost: Mapping[str, float]) -> tuple[int | None, float]:
    """The best trial that is in no cost above `cost`."""
    axis = findings.metric
    sign = 1 if axis.direction == "maximise" else -1
    names = [a.name for a in cost_axes(findings) if a.name in cost]
    fair = [
        trial
        for trial in findings.finished
        if axis.name in trial.scores
        and all(trial.cost.get(name, math.inf) <= cost[name] for name in names)
    ]
    if not names or not fair:
        return None, math.nan
    best = max(fair, key=lambda trial: sign * trial.scores[axis.name])
    return best.number, best.scores[axis.name]
