"""The report of a comparison: the fronts of several runs in one chart, and what chance explains."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results.comparison import Contest, RunComparison, RunVariant, compare_runs, rows
from results.objectives import MISSING
from results.report import charts, page
from results.report.points import Chart, trial_points
from results.run import write_atomic
from results.tables import markdown_cell


def build_comparison(folders: Sequence[Path], out: Path) -> RunComparison:
    """Write index.html, comparison.csv and comparison.md into `out`; what they say.

    Raises:
        ResultsError: as `compare_runs`, or a folder that cannot be written.
    """
    comparison = compare_runs(folders)
    write_atomic(out / "comparison.csv", _csv(comparison))
    write_atomic(out / "comparison.md", _markdown(comparison))
    write_atomic(out / "index.html", _page(comparison))
    return comparison


def _page(comparison: RunComparison) -> str:
    first = comparison.runs[0].view
    context: dict[str, Any] = {
        "style": page.style(),
        "scripts": page.scripts(),
        "fingerprints": page.fingerprints(),
        "comparison": comparison,
        "chart": chart_of_runs(comparison),
        "rows": list(rows(comparison)),
        "metric": first.metric,
        "objectives": first.objectives,
        "volume": charts.volumes_figure([(run.name, run.history) for run in comparison.runs]),
        "interval": _interval,
        "percent": _percent,
        "p": _p,
        "commands": [
            (run.name, str(run.view.config.get("command", ""))) for run in comparison.runs
        ],
        "task": str(first.settings.get("task", "")),
    }
    return page.environment().get_template("versus.html").render(context)


def chart_of_runs(comparison: RunComparison) -> Chart:
    """Return the finished trials of all runs over the axes that all of them know."""
    every = [run.view for run in comparison.runs]
    common = [
        axis
        for axis in every[0].axes
        if all(axis.name in {a.name for a in view.axes} for view in every)
    ]
    points = [
        point for group, view in enumerate(every) for point in trial_points(view, group, common)
    ]
    names = [axis.name for axis in common]
    x, y = (axis.name for axis in every[0].main_axes)
    return Chart(
        axes=tuple(common),
        points=tuple(points),
        limits=every[0].limits,
        groups=tuple(run.name for run in comparison.runs),
        x=names.index(x) if x in names else 0,
        y=names.index(y),
    )


def _csv(comparison: RunComparison) -> str:
    lines = list(rows(comparison))
    out = io.StringIO()
    table = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    return out.getvalue()


def _markdown(comparison: RunComparison) -> str:
    lines = ["| variant | runs | hypervolume | 95 % of the mean |", "|---|---:|---:|---:|"]
    lines += [
        f"| {markdown_cell(v.name)} | {len(v.volumes)} | {_percent(v.mean)} | {_interval(v)} |"
        for v in comparison.variants
    ]
    lines += ["", "| | difference | 95 % | p | |", "|---|---:|---:|---:|---|"]
    lines += [
        f"| {markdown_cell(c.first)} against {markdown_cell(c.second)} "
        f"| {_percent(c.difference)} | {_interval(c)} | {_p(c)} | {markdown_cell(c.verdict)} |"
        for c in comparison.contests
    ]
    return "\n".join(lines) + "\n"


def _interval(of: RunVariant | Contest) -> str:
    if math.isnan(of.low):
        return MISSING
    return f"{_percent(of.low)} to {_percent(of.high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %".replace("-", "−")


def _p(contest: Contest) -> str:
    return MISSING if math.isnan(contest.p) else f"{contest.p:.3g}"
