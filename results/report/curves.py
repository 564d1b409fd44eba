"""Figures over time: learning curves and the hypervolume."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from results.findings import Findings
from results.objectives import Objective
from results.report.svg import BOTTOM, LEFT, RIGHT, TOP, Pixel, Scale, chart, line, lines, scale
from results.trials import Trial

MAX_TITLED = 600
"""Curves that get a hover text of their own; more would make the page slow and heavy."""

STEPS = Objective(name="steps", direction="minimise", label="Training steps")
MINUTES = Objective(name="minutes", direction="minimise", unit="min", label="Time")
NUMBER = Objective(name="number", direction="minimise", label="Trial")
VOLUME = Objective(name="volume", direction="maximise", unit="%", label="Hypervolume")


def curves_figure(findings: Findings) -> Markup | None:
    """The learning curve of each trial, the front's emphasised; None when there is none."""
    front = {trial.number for trial in findings.front}
    behind = [trial for trial in findings.trials if trial.curve and trial.number not in front]
    ahead = [trial for trial in findings.front if trial.curve]
    scales = _curve_scales([trial.curve for trial in (*behind, *ahead)])
    if scales is None:
        return None
    marks = _quiet(behind, scales)
    marks += [line([(scales[0](s), TOP), (scales[0](s), BOTTOM)], "limit") for s in rungs(findings)]
    marks += [line(_traced(t.curve, scales), "accent", _curve_title(t)) for t in ahead]
    return chart((STEPS, findings.metric), scales, marks, "Learning curves of the search")


def models_figure(findings: Findings) -> Markup | None:
    """The learning curves of the networks trained to the end; None when there is none."""
    with_curve = [model for model in findings.models if model.curve]
    scales = _curve_scales([model.curve for model in with_curve])
    if scales is None:
        return None
    marks = [
        line(_traced(m.curve, scales), f"strong {m.kind}", f"{m.kind} {m.id}, trial {m.trial}")
        for m in with_curve
    ]
    return chart((STEPS, findings.quality), scales, marks, "Learning curves of the final networks")


def hypervolume_figure(findings: Findings) -> Markup | None:
    """The share of the objectives' box that the front covers, after each trial."""
    history = [(float(number), 100 * share) for number, share in findings.hypervolume]
    return _stairs(history, NUMBER, "Hypervolume after each trial")


def hypervolume_in_time_figure(findings: Findings) -> Markup | None:
    """The same over the minutes since the first trial began; None where no clock was kept."""
    ends = {trial.number: trial.finished for trial in findings.finished}
    starts = [trial.started for trial in findings.trials if trial.started]
    history = [(ends[number], share) for number, share in findings.hypervolume]
    if not starts or any(end is None for end, _ in history):
        return None
    begun, best, steps = min(starts), 0.0, list[tuple[float, float]]()
    # trials end in another order than they begin; the front of then is at least the best so far
    for end, share in sorted(((end, share) for end, share in history if end)):
        best = max(best, share)
        steps.append(((end - begun).total_seconds() / 60, 100 * best))
    return _stairs(steps, MINUTES, "Hypervolume over time")


def rungs(findings: Findings) -> list[int]:
    """Steps at which a search with several fidelities compared its trials, rising."""
    return sorted({step for trial in findings.trials for step, _ in trial.rungs})


def _stairs(history: Sequence[tuple[float, float]], across: Objective, name: str) -> Markup | None:
    """A line that rises in steps, as a quantity does that changes with every trial."""
    if len(history) < 2:
        return None
    x_scale = scale([x for x, _ in history], LEFT, RIGHT)
    shares = [share for _, share in history]
    # Flat from the first trial on: the whole range tells that better than a guess around it.
    y_scale = scale(shares if shares[0] < shares[-1] else (0.0, 100.0), BOTTOM, TOP)
    marks = [line(stairs(history, (x_scale, y_scale)), "accent strong")]
    return chart((across, VOLUME), (x_scale, y_scale), marks, name)


def stairs(history: Sequence[tuple[float, float]], scales: tuple[Scale, Scale]) -> list[Pixel]:
    """The corners of a line that keeps its height until the next point of `history`."""
    x, y = scales
    steps: list[Pixel] = []
    for across, height in history:
        if steps:
            steps.append((x(across), steps[-1][1]))
        steps.append((x(across), y(height)))
    return steps


def _quiet(trials: Sequence[Trial], scales: tuple[Scale, Scale]) -> list[Markup]:
    """The curves of the trials behind the front; all in one mark where they are very many."""
    paths = [(trial, path) for trial in trials if (path := _traced(trial.curve, scales))]
    if len(trials) > MAX_TITLED:
        return [lines([path for _, path in paths], "faint")]
    return [line(path, "faint", _curve_title(trial)) for trial, path in paths]


def _curve_scales(curves: Sequence[Sequence[tuple[int, float]]]) -> tuple[Scale, Scale] | None:
    points = [point for curve in curves for point in curve if math.isfinite(point[1])]
    if not points:
        return None
    heights = sorted(height for _, height in points)
    # A network that diverged must not press all others into one line.
    floor = heights[len(heights) // 20] - 2 * (heights[-1] - heights[len(heights) // 20])
    x_scale = scale([0.0, *(float(step) for step, _ in points)], LEFT, RIGHT)
    return x_scale, scale([h for h in heights if h >= floor], BOTTOM, TOP)


def _traced(curve: Sequence[tuple[int, float]], scales: tuple[Scale, Scale]) -> list[Pixel]:
    x, y = scales
    return [(x(s), min(y(v), float(BOTTOM))) for s, v in curve if math.isfinite(v)]


def _curve_title(trial: Trial) -> str:
    return f"trial {trial.number}" + (f", {trial.reason}" if trial.reason else "")
