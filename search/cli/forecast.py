"""How long a run still takes, read from its own record while it goes on."""

from __future__ import annotations

import time
from pathlib import Path

from lightir_core.errors import ResultsError
from results.study import Record
from search.cli.progress import Forecast
from search.config import SearchConfig
from search.eta import Progress, seconds_left


def forecast_of(folder: Path, config: SearchConfig) -> Forecast:
    """The forecast for the run in `folder`, which need not be there yet."""
    opened: list[Record] = []

    def left(phase: str, done: int, elapsed_s: float) -> float | None:
        try:
            if not opened:
                opened.append(Record.open(folder))
            trials = opened[0].trials()
        except ResultsError:
            return None  # not begun, or out of reach: progress can do without
        progress = Progress(
            phase=phase, done=done, elapsed_s=elapsed_s, workers=config.worker_count
        )
        return seconds_left(trials, opened[0].objectives, config, progress, time.time())

    return left
