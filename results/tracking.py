"""Trackers beside a run: TensorBoard and MLflow hear of each trial.

TensorBoard: learning curves of the trials, and what the front reached after each of them.

`tensorboard --logdir RUN/tensorboard` shows it. Each trial is a run of its own in there, so that
their curves lie over one another; "search" holds what belongs to no single trial.

MLflow: the run with a child for each trial, its choices as parameters and its scores as metrics.

Where it goes is MLflow's own business (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME).
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lightir_core.errors import ResultsError
from results.describe import describe_architecture
from results.models import load_results
from results.run import RunFolder, read_config
from results.run_view import read_run
from results.trials import Trial

FOLDER = "tensorboard"


class TensorBoardTracker:
    """Writes event files under RUN/tensorboard; a context manager."""

    def __init__(self, run: Path) -> None:
        """Nothing is written before the first trial: a run folder must be new to be begun."""
        self._run = run

    def __enter__(self) -> Self:
        """The tracker itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write down the final networks and the hypervolume; what was told stays if it failed."""
        try:
            history = read_run(self._run).hypervolume
            models = load_results(self._run)
        except ResultsError:
            return  # the run ended before it had a record
        with self._writer("search") as writer:
            for number, share in history:
                writer.add_scalar("hypervolume", share, number)
            for model in models:
                for name, score in model.scores.items():
                    writer.add_scalar(f"final/{name}", score, model.trial)
                text = describe_architecture(model.architecture)
                writer.add_text(f"{model.kind} {model.id}", text)

    def trial(self, trial: Trial) -> None:
        """Write an ended trial down: what it is, its curve and its costs."""
        with self._writer(f"trial-{trial.number:05d}") as writer:
            writer.add_text("architecture", describe_architecture(trial.architecture))
            if trial.reason:
                writer.add_text("failed", trial.reason)
            for name in trial.scores:
                for step, value in trial.curve:
                    writer.add_scalar(name, value, step)
            for name, value in trial.cost.items():
                writer.add_scalar(f"cost/{name}", value, 0)

    def _writer(self, name: str) -> Any:  # noqa: ANN401  of an extra
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._run / FOLDER / name)


LONGEST = 250
"""Characters of a value that every store of MLflow accepts."""


class MlflowTracker:
    """Logs a run while it goes on; a context manager."""

    def __init__(self, run: Path) -> None:
        """Begin an MLflow run that is named after the folder."""
        # local stores ask nobody's leave, and a search must not be counted elsewhere
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow  # pyright: ignore[reportMissingImports]  an extra

        self._mlflow: Any = mlflow
        self._run = run
        self._mlflow.start_run(run_name=run.name)

    def __enter__(self) -> Self:
        """The tracker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Log the settings and the report, and end the run."""
        try:
            settings: dict[str, Any] = read_config(self._run).get("config", {})
        except ResultsError:
            settings = {}  # it ended before it had a record
        self._mlflow.log_params({name: _short(value) for name, value in settings.items()})
        if RunFolder(self._run).report.is_file():
            self._mlflow.log_artifact(str(RunFolder(self._run).report))
        self._mlflow.end_run("FAILED" if kind else "FINISHED")

    def trial(self, trial: Trial) -> None:
        """Log an ended trial as a child of the run."""
        mlflow = self._mlflow
        with mlflow.start_run(run_name=f"trial-{trial.number:05d}", nested=True):
            mlflow.log_params({name: _short(value) for name, value in trial.choices.items()})
            mlflow.set_tag("architecture", _short(describe_architecture(trial.architecture)))
            if trial.reason:
                mlflow.set_tag("failed", _short(trial.reason))
            for name in trial.scores:
                for step, value in trial.curve:
                    mlflow.log_metric(name, value, step=step)
            mlflow.log_metrics({**trial.cost, **trial.scores})


def _short(value: object) -> str:
    return str(value)[:LONGEST]
