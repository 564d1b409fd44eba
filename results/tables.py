"""The front as a table: CSV for programs, Markdown for notes, LaTeX for papers.

Trials come first, in the order of the front, then the networks that were trained to the end or
pruned. The column `kind` tells them apart: their scores come from trainings of different length.
"""

import csv
import io
import math
from dataclasses import dataclass

from lightir_core.architecture import Architecture
from results.describe import describe_architecture, summarise
from results.objectives import format_value, values_of
from results.run_view import RunView


@dataclass(frozen=True, kw_only=True)
class TableRow:
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


def rows(view: RunView) -> list[TableRow]:
    """Return the front's trials, then the models of a run."""
    trials = [
        TableRow(
            kind="trial",
            trial=trial.number,
            architecture=trial.architecture,
            values=values_of(view.axes, trial.scores, trial.cost),
        )
        for trial in view.front
    ]
    models = [
        TableRow(
            kind=model.kind,
            trial=model.trial,
            architecture=model.architecture,
            values=values_of(view.axes, model.scores, model.cost),
            parent=model.parent or "",
            baseline=model.baseline.get(view.quality.name, math.nan),
        )
        for model in view.models
    ]
    return trials + models


def to_csv(view: RunView) -> str:
    """Return one line per network in full precision; an empty field is an unknown value."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    names = [axis.name for axis in view.axes]
    baseline = f"baseline_{view.quality.name}"
    table.writerow(["kind", "trial", "id", "parent", *names, baseline, "architecture"])
    for row in rows(view):
        values = [_exact(value) for value in (*row.values, row.baseline)]
        table.writerow(
            [
                row.kind,
                row.trial,
                row.architecture.id,
                row.parent,
                *values,
                describe_architecture(row.architecture),
            ]
        )
    return out.getvalue()


def to_markdown(view: RunView) -> str:
    """Return a GitHub table with rounded numbers."""
    heads, body = _cells(view)
    lines = [heads, ["---", *["---:"] * (len(heads) - 2), "---"], *body]
    return "".join(f"| {' | '.join(map(markdown_cell, line))} |\n" for line in lines)


def to_latex(view: RunView) -> str:
    """Return a `tabular` with rules of the booktabs package."""
    heads, body = _cells(view)
    lines = [
        r" & ".join(cell.translate(_LATEX) for cell in line) + r" \\" for line in (heads, *body)
    ]
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


def _cells(view: RunView) -> tuple[list[str], list[list[str]]]:
    heads = ["Network", *[axis.title for axis in view.axes], "Architecture"]
    body = [
        [
            f"trial {row.trial}" if row.kind == "trial" else f"trial {row.trial}, {row.kind}",
            *(format_value(axis, v) for axis, v in zip(view.axes, row.values, strict=True)),
            summarise(row.architecture),
        ]
        for row in rows(view)
    ]
    return heads, body


def _exact(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def markdown_cell(text: str) -> str:
    """Return text for a cell of a GitHub table."""
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
