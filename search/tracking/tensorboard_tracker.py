"""TensorBoard: learning curves of the trials, and what the front reached after each of them.

`tensorboard --logdir RUN/tensorboard` shows it. Each trial is a run of its own in there, so that
their curves lie over one another; "search" holds what belongs to no single trial.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from lightir_core.errors import ResultsError
from results.describe import describe_architecture
from results.models import load_results
from results.run_view import read_run
from results.trials import Trial

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

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
        """See `Tracker`."""
        with self._writer(f"trial-{trial.number:05d}") as writer:
            writer.add_text("architecture", describe_architecture(trial.architecture))
            if trial.reason:
                writer.add_text("failed", trial.reason)
            for name in trial.scores:
                for step, value in trial.curve:
                    writer.add_scalar(name, value, step)
            for name, value in trial.cost.items():
                writer.add_scalar(f"cost/{name}", value, 0)

    def _writer(self, name: str) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._run / FOLDER / name)
