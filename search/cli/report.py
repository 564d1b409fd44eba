"""`python -m search report`: make the report again from the run folder alone."""

from __future__ import annotations

from results.report.page import build_report
from search.cli.options import RunArgument


def report(folder: RunArgument) -> None:
    """Make the report of a run again, from its folder alone.

    Example:  python -m search report runs/sr-x2-400k-20260101-120000
    """
    print(build_report(folder))
