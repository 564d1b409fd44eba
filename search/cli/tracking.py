"""A run's trials in TensorBoard or MLflow as well, if one of them is asked for and installed."""

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lightir_core.errors import SearchError
from results.tracking import MlflowTracker, TensorBoardTracker
from search.jobs import Callback, Tracked

TensorBoardFlag = Annotated[bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard.")]
MlflowFlag = Annotated[bool, typer.Option("--mlflow", help="Also log to MLflow.")]


@contextmanager
def tracked(
    callback: Callback, folder: Path, *, tensorboard: bool, mlflow: bool
) -> Iterator[Callback]:
    """Give the callback, which also reports to the trackers that were asked for.

    Raises:
        SearchError: one of them is not installed; how to install it is told.
    """
    for wanted, module, extra in (
        (tensorboard, "tensorboard", "tensorboard"),
        (mlflow, "mlflow", "mlflow"),
    ):
        if wanted and importlib.util.find_spec(module) is None:
            raise SearchError(
                f"--{extra} needs {module}; install the extra: pip install 'lightir[{extra}]'"
            )
    with ExitStack() as stack:
        trackers = []
        if tensorboard:
            trackers.append(stack.enter_context(TensorBoardTracker(folder)))
        if mlflow:
            trackers.append(stack.enter_context(MlflowTracker(folder)))
        yield Tracked(callback, trackers) if trackers else callback
