"""The page: what is known of a run, poured into the template."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from results.describe import short_words
from results.findings import Findings, mapping
from results.formats import format_duration, format_value
from results.importance import Importance, importances
from results.objectives import Objective, values_of
from results.plots import baseline_words
from results.preferences import preferences
from results.reference import reference_points_for
from results.report import text as sentences
from results.report.breakdown import Breakdowns
from results.report.charts import (
    curves_figure,
    hypervolume_figure,
    hypervolume_in_time_figure,
    models_figure,
    rungs,
    sparkline,
)
from results.report.images import strips
from results.report.members import members, networks
from results.report.points import chart_of
from results.report.systems import cost_axes, system_rows
from results.run import RunFolder
from results.trials import Trial

MAX_ROWS = 1000
"""Trials listed one by one; the page stays light, and the journal holds them all."""

MAX_AXES = 12
"""Axes of the space that are ranked; what comes behind them explains next to nothing."""

_HERE = Path(__file__).parent

_TOLD_ELSEWHERE = (
    *("format", "version", "command", "created", "config", "versions", "data"),
    *("objectives", "baseline"),
)

_DATA_TITLES = {
    "training": "Training images",
    "validation": "Validation images",
    "notes": "Notes",
    "licences": "Licences",
}


def render(findings: Findings) -> str:
    """The report as one HTML document without references to anything outside of the run folder."""
    return (
        environment()
        .get_template("page.html")
        .render({**_context(findings), **_functions(findings)})
    )


def environment() -> Environment:
    """Templates of this folder, everything escaped, nothing undefined."""
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style() -> Markup:
    """The style sheet."""
    return Markup((_HERE / "style.css").read_text(encoding="utf-8"))


@cache
def scripts() -> tuple[Markup, ...]:
    """Return the text of the page's script elements, in their order: d3, and the page's own."""
    names = ("d3.v5.min.js", "script.js")
    return tuple(Markup((_HERE / name).read_text(encoding="utf-8").strip()) for name in names)


@cache
def fingerprints() -> Markup:
    """Return the scripts' hashes as a content security policy names them: nothing else may run."""
    digests = (b64encode(sha256(text.encode()).digest()).decode() for text in scripts())
    return Markup(" ".join(f"'sha256-{digest}'" for digest in digests))


def _functions(findings: Findings) -> dict[str, Callable[..., Any]]:
    def cells(trial: Trial) -> list[str]:
        values = values_of(findings.axes, trial.scores, trial.cost)
        return [format_value(axis, v) for axis, v in zip(findings.axes, values, strict=True)]

    def spark(trial: Trial) -> Markup:
        return sparkline([value for _, value in trial.curve])

    return {
        "cells": cells,
        "spark": spark,
        "duration": format_duration,
        "brief": short_words,
    }


def _context(findings: Findings) -> dict[str, Any]:
    pictures, problems = strips(findings)
    breakdowns = Breakdowns(RunFolder(findings.folder).report.parent)
    others, final = members(findings, breakdowns), networks(findings, breakdowns)
    breakdowns.save()
    return {
        "style": style(),
        "findings": findings,
        "name": findings.folder.resolve().name,
        "asked": _asked(findings),
        "status": sentences.status(findings),
        "headline": sentences.headline(findings),
        "knee": sentences.knee_words(findings),
        "moves": sentences.front_moves(findings),
        "baseline": baseline_words(findings),
        "plain": str(findings.baseline.get("name", "baseline")),
        "chart": chart_of(findings) if findings.finished and len(findings.axes) > 1 else None,
        "scripts": scripts(),
        "fingerprints": fingerprints(),
        "uncertainty": sentences.uncertainty(findings),
        "strips": pictures,
        "picture_problems": problems,
        "networks": final,
        "members": others,
        "drawn": {member.trial.number for member in others},
        "final": {model.trial: model.id for model in reversed(findings.results)},
        "linked": {model.id for model in findings.results},
        "systems": system_rows(findings),
        "system_axes": cost_axes(findings),
        "trained_systems": any(rival.shrunk for rival in findings.rivals),
        "published": reference_points_for(str(findings.settings.get("task", ""))),
        "preferences": preferences(findings.front, findings.finished),
        "importance": _importance(findings),
        "rungs": rungs(findings),
        "curves": curves_figure(findings),
        "models_curves": models_figure(findings),
        "volume": hypervolume_figure(findings),
        "volume_in_time": hypervolume_in_time_figure(findings),
        "failures": sentences.failures(findings),
        "restarts": sentences.restarts(findings),
        "losses": sentences.losses(findings),
        "command": str(findings.config.get("command", "")),
        "facts": _facts(findings),
        "shown": findings.trials[-MAX_ROWS:],
        "hidden": max(0, len(findings.trials) - MAX_ROWS),
    }


def _asked(findings: Findings) -> str:
    task, budget = findings.settings.get("task"), findings.settings.get("budget")
    if task is None:
        return "Task and budget were not recorded."
    return f"The best network for {task}" + (f" within a budget of {budget}" if budget else "")


def _importance(findings: Findings) -> list[tuple[Objective, list[Importance]]]:
    """The axes that mattered most, for each objective that trials decided on."""
    found: list[tuple[Objective, list[Importance]]] = []
    for index, objective in enumerate(findings.objectives):
        values = [findings.point(t, findings.objectives)[index] for t in findings.finished]
        rows = importances(findings.finished, values)[:MAX_AXES]
        if rows and rows[0].share > 0:
            found.append((objective, rows))
    return found


def _facts(findings: Findings) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Groups of facts: a title and rows of a name and lines of text."""
    data = mapping(findings.config.get("data"))
    more = {k: v for k, v in findings.config.items() if k not in _TOLD_ELSEWHERE}
    groups = {
        "Settings": _rows({**findings.settings, **more}),
        "Data": _rows({_DATA_TITLES.get(key, key): value for key, value in data.items()}),
        "Time": [(key, [value]) for key, value in sentences.time_facts(findings)],
        "Versions": _rows(mapping(findings.config.get("versions"))),
    }
    return [(title, rows) for title, rows in groups.items() if rows]


def _rows(values: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Names as in the settings but with spaces; short values on one line, empty ones left out."""
    rows: list[tuple[str, list[str]]] = []
    for key, value in values.items():
        lines = sentences.plain_lines(value)
        together = ", ".join(lines)
        if lines:
            rows.append((key.replace("_", " "), [together] if len(together) <= 80 else lines))
    return rows
