"""How long a run still takes, read from its own record while it goes on."""

from __future__ import annotations

import time
from pathlib import Path

from lightir_core.errors import ResultsError
from results.run import read_config
from results.study import Record
from search.cli.progress import Forecast
from search.config import SearchConfig, load_config
from search.devices import worker_count
from search.forecast import Progress, seconds_left
from search.recipes import kept_recipes


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
        settled = load_config(folder)
        longer = kept_recipes(read_config(folder).get("recipes"), settled).longer
        progress = Progress(
            phase=phase, done=done, elapsed_s=elapsed_s, workers=worker_count(config)
        )
        kinds = opened[0].objectives
        return seconds_left(trials, kinds, settled, progress, time.time(), longer)

    return left
