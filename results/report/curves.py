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
    quiet = [_traced(trial.curve, scales) for trial in behind]
    if len(behind) > MAX_TITLED:
        marks = [lines([path for path in quiet if path], "faint")]
    else:
        marks = [
            line(path, "faint", _curve_title(t))
            for t, path in zip(behind, quiet, strict=True)
            if path
        ]
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
    return chart((STEPS, findings.metric), scales, marks, "Learning curves of the final networks")


def hypervolume_figure(findings: Findings) -> Markup | None:
    """The share of the objectives' box that the front covers, after each trial."""
    history = [(number, 100 * share) for number, share in findings.hypervolume]
    if len(history) < 2:
        return None
    x_scale = scale([number for number, _ in history], LEFT, RIGHT)
    shares = [share for _, share in history]
    # Flat from the first trial on: the whole range tells that better than a guess around it.
    y_scale = scale(shares if shares[0] < shares[-1] else (0.0, 100.0), BOTTOM, TOP)
    steps: list[Pixel] = []
    for number, share in history:
        if steps:
            steps.append((x_scale(number), steps[-1][1]))
        steps.append((x_scale(number), y_scale(share)))
    marks = [line(steps, "accent strong")]
    return chart((NUMBER, VOLUME), (x_scale, y_scale), marks, "Hypervolume after each trial")


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
