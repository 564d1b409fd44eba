"""A run as a value: what was found, read from its folder whenever it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lightir_core.architecture import Architecture
from lightir_core.errors import ResultsError
from results.findings import Findings, read_findings
from results.run import RunFolder
from results.trials import Trial


@dataclass(frozen=True, kw_only=True)
class Found:
    """A network of a run.

    Attributes:
        architecture: `lightir_core.network.build` makes a network of it.
        cost: params, macs and whatever else was counted.
        scores: what was measured.
        trial: number of the trial that it came from.
        folder: where its weights are, for `lightir_core.checkpoints.load_model`; None if the run
            kept none.
    """

    architecture: Architecture
    cost: Mapping[str, float]
    scores: Mapping[str, float]
    trial: int
    folder: Path | None = None


@dataclass(frozen=True)
class Run:
    """What the run in `folder` holds by now."""

    folder: Path

    @property
    def findings(self) -> Findings:
        """Everything that is known of it."""
        return read_findings(self.folder)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, in order."""
        return self.findings.trials

    @property
    def front(self) -> list[Trial]:
        """The non-dominated trials, best value of the first objective first."""
        return self.findings.front

    @property
    def report(self) -> Path:
        """Its report, one self-contained file."""
        return RunFolder(self.folder).report

    def best(
        self,
        *,
        params: float | None = None,
        macs: float | None = None,
        training_bytes: float | None = None,
        inference_bytes: float | None = None,
        latency_ms: float | None = None,
    ) -> Found:
        """The best network by its score that costs no more than what is given.

        Of those that were trained to the end, if the run has any; else of the trials.

        Raises:
            ResultsError: no network of the run is within these limits.
        """
        limits = {
            name: limit
            for name, limit in (
                ("params", params),
                ("macs", macs),
                ("training_bytes", training_bytes),
                ("inference_bytes", inference_bytes),
                ("latency_ms", latency_ms),
            )
            if limit is not None
        }
        findings = self.findings
        metric = findings.metric
        sign = 1 if metric.direction == "maximise" else -1
        within = [
            found
            for found in _networks(findings)
            if all(found.cost.get(name, float("inf")) <= limit for name, limit in limits.items())
            and metric.name in found.scores
        ]
        if not within:
            words = ", ".join(f"{name}={limit:,}" for name, limit in limits.items())
            raise ResultsError(
                f"no network of {self.folder} is within {words or 'its budget'}; allow more, "
                f"or search with that budget"
            )
        return max(within, key=lambda found: sign * found.scores[metric.name])


def _networks(findings: Findings) -> list[Found]:
    models = [m for m in findings.results if m.within_budget is not False]
    if models:
        return [
            Found(
                architecture=model.architecture,
                cost=model.cost,
                scores=model.scores,
                trial=model.trial,
                folder=RunFolder(findings.folder).model(model.id),
            )
            for model in models
        ]
    return [
        Found(
            architecture=trial.architecture,
            cost=trial.cost,
            scores=trial.scores,
            trial=trial.number,
        )
        for trial in findings.finished
    ]
