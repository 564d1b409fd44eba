"""What the report tells of each network: the final ones, then the other members of the front."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from budgets.units import Size, format_count, format_time, parse_size
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError
from results.card import read_exports
from results.describe import in_words
from results.findings import Findings
from results.formats import format_gain, format_share, format_value
from results.models import ModelResult
from results.report import text as sentences
from results.report.breakdown import Breakdown, Breakdowns
from results.report.diagram import diagram
from results.run import RunFolder
from results.trials import Trial

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
class Network:
    """A final network with what is told of it."""

    model: ModelResult
    words: str
    anatomy: Anatomy
    changes: list[sentences.Change]
    scores: list[ScoreRow]
    times: list[tuple[str, str]]
    exports: list[list[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A trial on the front that was not trained to the end."""

    trial: Trial
    words: str
    anatomy: Anatomy


def networks(findings: Findings, breakdowns: Breakdowns) -> list[Network]:
    """The final networks, in the order of the run."""
    return [_network(findings, breakdowns, model) for model in findings.results]


def members(findings: Findings, breakdowns: Breakdowns) -> list[Member]:
    """The trials on the front that did not become a final network."""
    final = {model.trial for model in findings.results}
    others = [trial for trial in findings.front if trial.number not in final]
    return [
        Member(
            trial=trial,
            words=_sentence(trial.architecture),
            anatomy=_anatomy(findings, breakdowns, trial.architecture),
        )
        for trial in others[:MAX_TRIALS]
    ]


def _network(findings: Findings, breakdowns: Breakdowns, model: ModelResult) -> Network:
    rows = [_score_row(findings, "mean", model.scores, model.baseline)]
    rows += [_score_row(findings, i.name, i.scores, i.baseline) for i in model.images]
    return Network(
        model=model,
        words=_sentence(model.architecture),
        anatomy=_anatomy(findings, breakdowns, model.architecture),
        changes=sentences.pruning(findings, model),
        scores=rows,
        times=[(size, format_time(ms)) for size, ms in model.latency.items()],
        exports=list(_exports(findings, model)),
    )


def _sentence(architecture: Architecture) -> str:
    words = in_words(architecture)
    return words[0].upper() + words[1:]


def _anatomy(findings: Findings, breakdowns: Breakdowns, architecture: Architecture) -> Anatomy:
    size = _size(findings, architecture)
    found = breakdowns.of(architecture, size)
    return Anatomy(
        picture=diagram(architecture),
        parts=part_rows(found),
        kinds=kind_rows(found),
        size=str(size),
    )


def part_rows(found: Breakdown) -> list[tuple[str, ...]]:
    """Each part with its parameters, their share, its MACs and their share."""
    params, macs = (sum(part[column] for part in found.parts) for column in (1, 2))
    return [
        (name, f"{p:,}", format_share(p, params), format_count(m), format_share(m, macs))
        for name, p, m in found.parts
    ]


def kind_rows(found: Breakdown) -> list[tuple[str, ...]]:
    """Each kind of work with its MACs and their share."""
    total = sum(macs for _, macs in found.kinds)
    return [(name, format_count(m), format_share(m, total)) for name, m in found.kinds]


def _size(findings: Findings, architecture: Architecture) -> Size:
    """The output size that the run stated its costs at, else the custom of the field."""
    try:
        return parse_size(str(findings.config.get("size", "")))
    except BudgetError:
        return Size(720, 1280) if architecture.scale > 1 else Size(256, 256)


def _exports(findings: Findings, model: ModelResult) -> Iterator[list[tuple[str, str]]]:
    for entry in read_exports(RunFolder(findings.folder).model(model.id)):
        yield [(str(key), str(value)) for key, value in entry.items()]


def _score_row(
    findings: Findings, name: str, scores: Mapping[str, float], baseline: Mapping[str, float]
) -> ScoreRow:
    axis = findings.quality
    mine, plain = scores.get(axis.name, math.nan), baseline.get(axis.name, math.nan)
    return ScoreRow(
        name=name,
        score=format_value(axis, mine),
        baseline=format_value(axis, plain),
        gain=format_gain(mine - plain),
    )
