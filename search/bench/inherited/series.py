"""One score for each network, by one evaluator; every score is kept, and none is taken twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightir_core.checkpoints import write_text_atomic
from lightir_core.learning.recipe import PROXY
from search.evaluators.choice import Choice
from search.evaluators.job import Job, Source
from search.feasible import Candidate
from search.loop import Engine
from search.seeds import derive


@dataclass(frozen=True, kw_only=True)
class Series:
    """How networks are scored.

    Attributes:
        name: of the folder that keeps the scores, and of the column.
        source: task and images.
        evaluator: by what.
        steps: of a training.
        seed: decides weights and patches; of a proxy, the one batch.
        bank: file of the weight bank, if the evaluator needs one.
    """

    name: str
    source: Source
    evaluator: Choice
    steps: int
    seed: int
    bank: Path | None = None


@dataclass(frozen=True)
class Row:
    """The score of one network, NaN if it has none, and the seconds that it took."""

    score: float
    seconds: float


def measure(
    series: Series,
    candidates: Sequence[Candidate],
    folder: Path,
    engine: Engine,
    tell: Callable[[str], None],
) -> list[Row]:
    """The rows of all candidates, in order; what `folder` does not hold yet is measured."""
    files = [folder / series.name / f"{c.architecture.id}.json" for c in candidates]
    jobs = (
        _job(series, number, candidates[number], file)
        for number, file in enumerate(files)
        if not file.exists()
    )
    for job, outcome in engine.run(jobs):
        score = next(iter(outcome.scores.values()), float("nan"))
        kept = {"score": score, "seconds": outcome.seconds, "reason": outcome.reason}
        write_text_atomic(files[job.number], json.dumps(kept))
        job.weights.unlink(missing_ok=True)
        tell(f"{series.name} {job.architecture.id}: {outcome.reason or f'{score:.3f}'}")
    return [_read(file) for file in files]


def _job(series: Series, number: int, candidate: Candidate, file: Path) -> Job:
    untrained = series.evaluator.kind == "zero-cost"
    return Job(
        number=number,
        architecture=candidate.architecture,
        recipe=PROXY.lasting(series.steps),
        source=series.source,
        seed=derive(series.seed, *(("proxy",) if untrained else ("train", number))),
        device="cpu",
        weights=file.with_suffix(".safetensors"),
        evaluator=series.evaluator,
        bank=series.bank,
    )


def _read(file: Path) -> Row:
    kept = json.loads(file.read_text())
    return Row(kept["score"], kept["seconds"])
