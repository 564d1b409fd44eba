"""`python -m search resume`: go on with a run that was stopped."""

from __future__ import annotations

from lightir_core.data.tasks import parse_task
from search import pipeline
from search.cli.forecast import forecast_of
from search.cli.options import Json, Quiet, RunArgument
from search.cli.outcome import resumable, tell
from search.cli.progress import watching
from search.cli.run_options import Address
from search.cli.stopping import stopping
from search.cli.tracking import MlflowFlag, TensorBoardFlag, tracked
from search.config import load_config
from search.objectives import objectives


def resume(
    folder: RunArgument,
    address: Address = None,
    tensorboard: TensorBoardFlag = False,
    mlflow: MlflowFlag = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with a run that was interrupted or killed.

    Example:  python -m search resume runs/sr-x2-400k-20260101-120000
    """
    config = load_config(folder)
    kinds = objectives(
        config.search.objectives, parse_task(config.data.task), config.search.evaluator
    )
    forecast = forecast_of(folder, config)
    with (
        resumable(folder),
        watching(kinds, quiet=quiet, forecast=forecast) as display,
        tracked(display, folder, tensorboard=tensorboard, mlflow=mlflow) as callback,
        stopping(callback) as stop,
    ):
        pipeline.resume(folder, callback, stop, address)
    tell(folder, as_json=as_json)
