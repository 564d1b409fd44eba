"""The page of a report: what is known of a run, poured into a template."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from results import baselines, describe, plots, tables
from results.importance import AxisImportance, importances, preferences
from results.objectives import Objective, format_duration, format_value, values_of
from results.report import charts, points, text
from results.report.members import Breakdowns, cost_axes, members, networks, system_rows
from results.report.pictures import strips
from results.run import RunFolder, write_atomic
from results.run_view import RunView, mapping, read_run
from results.trials import Trial

MAX_ROWS = 1000
"""Trials listed one by one; the page stays light, and the journal holds them all."""

MAX_AXES = 12
"""Axes of the space that are ranked; what comes behind them explains next to nothing."""

_HERE = Path(__file__).parent

_SHOWN_ELSEWHERE = (
    *("format", "version", "command", "created", "config", "versions", "data"),
    *("objectives", "baseline"),
)

_DATA_TITLES = {
    "training": "Training images",
    "validation": "Validation images",
    "notes": "Notes",
    "licences": "Licences",
}


def render(view: RunView) -> str:
    """Return the report as one HTML document that refers to nothing outside of the run folder."""
    return environment().get_template("page.html").render({**_context(view), **_functions(view)})


def environment() -> Environment:
    """Return templates of this folder, everything escaped, nothing undefined."""
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style() -> Markup:
    """Return the style sheet."""
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


def _functions(view: RunView) -> dict[str, Callable[..., Any]]:
    def cells(trial: Trial) -> list[str]:
        values = values_of(view.axes, trial.scores, trial.cost)
        return [format_value(axis, v) for axis, v in zip(view.axes, values, strict=True)]

    def spark(trial: Trial) -> Markup:
        return charts.sparkline([value for _, value in trial.curve])

    return {
        "cells": cells,
        "spark": spark,
        "duration": format_duration,
        "brief": describe.summarise,
    }


def _context(view: RunView) -> dict[str, Any]:
    pictures, problems = strips(view)
    breakdowns = Breakdowns(RunFolder(view.folder).report.parent)
    others, final = members(view, breakdowns), networks(view, breakdowns)
    breakdowns.save()
    asked, budget = "Task and budget were not recorded.", view.settings.get("budget")
    if (task := view.settings.get("task")) is not None:
        asked = f"The best network for {task}" + (f" within a budget of {budget}" if budget else "")
    return {
        "style": style(),
        "view": view,
        "name": view.folder.resolve().name,
        "asked": asked,
        "status": text.status(view),
        "headline": text.headline(view),
        "knee": text.describe_knee(view),
        "use": text.describe_use(view),
        "moves": text.front_moves(view),
        "baseline": plots.describe_plain_method(view),
        "plain": str(view.plain_method.get("name", "baseline")),
        "chart": points.chart_of(view) if view.finished and len(view.axes) > 1 else None,
        "scripts": scripts(),
        "fingerprints": fingerprints(),
        "uncertainty": text.uncertainty(view),
        "strips": pictures,
        "picture_problems": problems,
        "networks": final,
        "members": others,
        "drawn": {member.trial.number for member in others},
        "final": {model.trial: model.id for model in reversed(view.results)},
        "linked": {model.id for model in view.results},
        "systems": system_rows(view),
        "system_axes": cost_axes(view),
        "trained_systems": any(system.shrunk for system in view.baselines),
        "published": baselines.reference_points_for(str(view.settings.get("task", ""))),
        "preferences": preferences(view.front, view.finished),
        "importance": _importance(view),
        "rungs": charts.rungs(view),
        "curves": charts.curves_figure(view),
        "models_curves": charts.models_figure(view),
        "volume": charts.hypervolume_figure(view),
        "volume_in_time": charts.hypervolume_in_time_figure(view),
        "failures": text.failures(view),
        "restarts": text.restarts(view),
        "losses": text.losses(view),
        "command": str(view.config.get("command", "")),
        "facts": _facts(view),
        "shown": view.trials[-MAX_ROWS:],
        "hidden": max(0, len(view.trials) - MAX_ROWS),
    }


def _importance(view: RunView) -> list[tuple[Objective, list[AxisImportance]]]:
    """Return the axes that mattered most, for each objective that trials decided on."""
    ranked: list[tuple[Objective, list[AxisImportance]]] = []
    for index, objective in enumerate(view.objectives):
        values = [view.point(t, view.objectives)[index] for t in view.finished]
        rows = importances(view.finished, values)[:MAX_AXES]
        if rows and rows[0].share > 0:
            ranked.append((objective, rows))
    return ranked


def _facts(view: RunView) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return groups of facts: a title and rows of a name and lines of text."""
    data = mapping(view.config.get("data"))
    more = {k: v for k, v in view.config.items() if k not in _SHOWN_ELSEWHERE}
    groups = {
        "Settings": _rows({**view.settings, **more}),
        "Data": _rows({_DATA_TITLES.get(key, key): value for key, value in data.items()}),
        "Time": [(key, [value]) for key, value in text.time_facts(view)],
        "Versions": _rows(mapping(view.config.get("versions"))),
    }
    return [(title, rows) for title, rows in groups.items() if rows]


def _rows(values: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return names with spaces and their lines; short values on one line, empty ones left out."""
    rows: list[tuple[str, list[str]]] = []
    for key, value in values.items():
        lines = text.plain_lines(value)
        together = ", ".join(lines)
        if lines:
            rows.append((key.replace("_", " "), [together] if len(together) <= 80 else lines))
    return rows


def build_report(folder: Path) -> Path:
    """Make report/index.html and pareto.csv, .md, .tex, .png, .svg from a run folder alone.

    The page is one file without references to anything outside the run folder. A run that is
    still going on, went wrong or holds little gets a report of what there is.

    Returns:
        The path of the page.

    Raises:
        ResultsError: not a run folder, a damaged journal, or a folder that cannot be written.
    """
    view = read_run(folder)
    run = RunFolder(folder)
    write_atomic(run.pareto("csv"), tables.to_csv(view))
    write_atomic(run.pareto("md"), tables.to_markdown(view))
    write_atomic(run.pareto("tex"), tables.to_latex(view))
    write_atomic(run.pareto("png"), plots.draw_front(view, "png"))
    write_atomic(run.pareto("svg"), plots.draw_front(view, "svg"))
    write_atomic(run.report, render(view))
    return run.report
