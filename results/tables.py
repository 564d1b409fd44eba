"""The front as a table: CSV for programs, Markdown for notes, LaTeX for papers.

Trials come first, in the order of the front, then the networks that were trained to the end or
pruned. The column `kind` tells them apart: their scores come from trainings of different length.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightir_core.architecture import Architecture
from results.describe import in_words, short_words
from results.findings import Findings
from results.formats import format_value
from results.objectives import values_of


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network of the table.

    Attributes:
        kind: "trial", "trained", "pruned", or "parent" (over budget, only to be pruned).
        trial: number of the trial.
        architecture: what it is.
        values: its value on each axis of the run, NaN where unknown.
        parent: id of the network it was pruned from, else empty.
        baseline: the plain method's score on the same images, NaN where unknown.
    """

    kind: str
    trial: int
    architecture: Architecture
    values: tuple[float, ...]
    parent: str = ""
    baseline: float = math.nan


def rows(findings: Findings) -> list[Row]:
    """The front's trials, then the models of a run."""
    trials = [
        Row(
            kind="trial",
            trial=trial.number,
            architecture=trial.architecture,
            values=values_of(findings.axes, trial.scores, trial.cost),
        )
        for trial in findings.front
    ]
    models = [
        Row(
            kind=model.kind,
            trial=model.trial,
            architecture=model.architecture,
            values=values_of(findings.axes, model.scores, model.cost),
            parent=model.parent or "",
            baseline=model.baseline.get(findings.quality.name, math.nan),
        )
        for model in findings.models
    ]
    return trials + models


def to_csv(findings: Findings) -> str:
    """Full precision, one line per network; an empty field is an unknown value."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    names = [axis.name for axis in findings.axes]
    baseline = f"baseline_{findings.quality.name}"
    table.writerow(["kind", "trial", "id", "parent", *names, baseline, "architecture"])
    for row in rows(findings):
        values = [_exact(value) for value in (*row.values, row.baseline)]
        words = in_words(row.architecture)
        table.writerow([row.kind, row.trial, row.architecture.id, row.parent, *values, words])
    return out.getvalue()


def to_markdown(findings: Findings) -> str:
    """A GitHub table with rounded numbers."""
    heads, body = _cells(findings)
    lines = [heads, ["---", *["---:"] * (len(heads) - 2), "---"], *body]
    return "".join(f"| {' | '.join(map(_markdown, line))} |\n" for line in lines)


def to_latex(findings: Findings) -> str:
    """A `tabular` with rules of the booktabs package."""
    heads, body = _cells(findings)
    lines = [r" & ".join(map(_latex, line)) + r" \\" for line in (heads, *body)]
    columns = "l" + "r" * (len(heads) - 2) + "l"
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _cells(findings: Findings) -> tuple[list[str], list[list[str]]]:
    heads = ["Network", *[axis.title for axis in findings.axes], "Architecture"]
    body = [
        [
            f"trial {row.trial}" if row.kind == "trial" else f"trial {row.trial}, {row.kind}",
            *_rounded(findings, row.values),
            short_words(row.architecture),
        ]
        for row in rows(findings)
    ]
    return heads, body


def _rounded(findings: Findings, values: Sequence[float]) -> list[str]:
    return [format_value(axis, v) for axis, v in zip(findings.axes, values, strict=True)]


def _exact(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def _markdown(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


_LATEX = str.maketrans(
    {
        **{character: "\\" + character for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "×": r"$\times$",
        "–": "--",
        "−": "$-$",
        "∞": r"$\infty$",
    }
)


def _latex(text: str) -> str:
    return text.translate(_LATEX)
