"""Writes everything that a run folder shows of itself: the report, the tables, the pictures."""

from __future__ import annotations

from pathlib import Path

from results.files import write_atomic
from results.findings import read_findings
from results.plots import draw_front
from results.report.page import render
from results.run import RunFolder
from results.tables import to_csv, to_latex, to_markdown


def build_report(folder: Path) -> Path:
    """Make report/index.html and pareto.csv, .md, .tex, .png, .svg from a run folder alone.

    The page is one file without references to anything outside the run folder. A run that is
    still going on, went wrong or holds little gets a report of what there is.

    Returns:
        The path of the page.

    Raises:
        ResultsError: not a run folder, a damaged journal, or a folder that cannot be written.
    """
    findings = read_findings(folder)
    run = RunFolder(folder)
    write_atomic(run.pareto("csv"), to_csv(findings))
    write_atomic(run.pareto("md"), to_markdown(findings))
    write_atomic(run.pareto("tex"), to_latex(findings))
    write_atomic(run.pareto("png"), draw_front(findings, "png"))
    write_atomic(run.pareto("svg"), draw_front(findings, "svg"))
    write_atomic(run.report, render(findings))
    return run.report
