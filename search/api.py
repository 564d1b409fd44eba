"""Searches from Python: `from search import SearchConfig, run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from results.objectives import Objective
from results.report.page import build_report
from results.run_view import Run
from search import pipeline
from search.config import SearchConfig, default_folder
from search.custom_objective import (
    ObjectiveFunction,
    custom_plan,
    custom_record,
    custom_search,
    scoring_by,
)
from search.jobs import Callback, Silent, drive_function, formerly_listener

DEFAULT = SearchConfig()


@formerly_listener
def run(
    config: SearchConfig = DEFAULT,
    folder: Path | str | None = None,
    *,
    objective: ObjectiveFunction | None = None,
    scores: Sequence[Objective] = (),
    callback: Callback | None = None,
) -> Run:
    """Do what `python -m search run` does; with `objective`, score the candidates by it.

    Worker processes load the program that calls this, so it must be called below
    ``if __name__ == "__main__":``. With an objective there are none: the function is called in
    this process, one candidate after the other, and the run ends with the search, without further
    training and pruning. Such a run goes on where it was when it is called again.

    Args:
        config: the settings.
        folder: of the run; None is a new one under runs/.
        objective: (architecture, fidelity) -> scores by name.
        scores: what the objective measures; none is the score of the task, such as psnr_y.
        callback: told about progress.

    Raises:
        LightIRError: an impossible setting, no usable image, or a folder that is not new.
    """
    run_folder = Path(folder) if folder is not None else default_folder(config)
    callback = callback or Silent()
    if objective is None:
        pipeline.run(config, run_folder, callback, ["python", *sys.argv])
        return Run(run_folder)
    plan = custom_plan(config, run_folder)
    with custom_record(plan, scores) as record:
        drive_function(custom_search(plan, record, callback), scoring_by(objective))
    build_report(run_folder)
    return Run(run_folder)


@formerly_listener
def resume(folder: Path | str, *, callback: Callback | None = None) -> Run:
    """Go on with a run that was stopped, as `python -m search resume` does.

    Raises:
        LightIRError: not a run folder, a damaged one, or one that is in use.
    """
    pipeline.resume(Path(folder), callback or Silent())
    return Run(Path(folder))
