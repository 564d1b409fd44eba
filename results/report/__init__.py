"""The report of a run, or of several: pages that need nothing but themselves."""

from results.report.page import build_report
from results.report.versus import build_comparison

__all__ = ["build_comparison", "build_report"]
