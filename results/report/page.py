"""The page: what is known of a run, poured into the template."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from results.findings import Findings, mapping
from results.formats import format_duration, format_gain, format_value
from results.models import ModelResult
from results.objectives import values_of
from results.plots import baseline_words
from results.preferences import preferences
from results.report import sentences
from results.report.curves import curves_figure, hypervolume_figure, models_figure
from results.report.front import front_figure, pairs
from results.report.images import strips
from results.report.svg import sparkline
from results.trials import Trial
from results.words import in_words, short_words

MAX_ROWS = 1000
"""Trials listed one by one; the page stays light, and the journal holds them all."""

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


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of the front and the name of its axes."""

    label: str
    chart: Markup


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """The score of one image, or of their mean, against the plain method."""

    name: str
    score: str
    baseline: str
    gain: str


@dataclass(frozen=True, kw_only=True)
class Network:
    """A final network with what is told of it."""

    model: ModelResult
    words: str
    changes: list[sentences.Change]
    scores: list[ScoreRow]


def render(findings: Findings) -> str:
    """The report as one HTML document without references to anything outside of the run folder."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        {**_context(findings), **_functions(findings)}
    )


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
        "words": in_words,
        "brief": short_words,
    }


def _context(findings: Findings) -> dict[str, Any]:
    pictures, problems = strips(findings)
    return {
        "style": Markup((_HERE / "style.css").read_text()),
        "findings": findings,
        "name": findings.folder.resolve().name,
        "asked": _asked(findings),
        "status": sentences.status(findings),
        "headline": sentences.headline(findings),
        "knee": sentences.knee_words(findings),
        "moves": sentences.front_moves(findings),
        "baseline": baseline_words(findings),
        "plain": str(findings.baseline.get("name", "baseline")),
        "fronts": _fronts(findings),
        "strips": pictures,
        "picture_problems": problems,
        "networks": [_network(findings, model) for model in findings.results],
        "linked": {model.id for model in findings.results},
        "preferences": preferences(findings.front, findings.finished),
        "curves": curves_figure(findings),
        "models_curves": models_figure(findings),
        "volume": hypervolume_figure(findings),
        "failures": sentences.failures(findings),
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


def _fronts(findings: Findings) -> list[Chart]:
    if not findings.finished:
        return []
    return [
        Chart(label=f"{y.label} / {x.label}", chart=front_figure(findings, x, y))
        for x, y in pairs(findings)
    ]


def _network(findings: Findings, model: ModelResult) -> Network:
    rows = [_score_row(findings, "mean", model.scores, model.baseline)]
    rows += [_score_row(findings, i.name, i.scores, i.baseline) for i in model.images]
    words = in_words(model.architecture)
    return Network(
        model=model,
        words=words[0].upper() + words[1:],
        changes=sentences.pruning(findings, model),
        scores=rows,
    )


def _score_row(
    findings: Findings, name: str, scores: Mapping[str, float], baseline: Mapping[str, float]
) -> ScoreRow:
    axis = findings.metric
    mine, plain = scores.get(axis.name, math.nan), baseline.get(axis.name, math.nan)
    return ScoreRow(
        name=name,
        score=format_value(axis, mine),
        baseline=format_value(axis, plain),
        gain=format_gain(mine - plain),
    )


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
