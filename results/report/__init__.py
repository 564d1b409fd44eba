"""The report of a run: one self-contained HTML file, made from the run folder alone."""

from results.report.build import build_report

__all__ = ["build_report"]
