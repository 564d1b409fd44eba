"""Does a short training rank networks as a long one does? Kendall's tau between the two.

Networks are drawn from a space within a budget, spread over the sizes that fit, and trained from
the same weights at each length. Every finished training is kept in a file, so an interrupted
measurement goes on where it stopped.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from scipy.stats import kendalltau

from lightir_core.checkpoints import write_text_atomic
from lightir_core.learning.recipe import PROXY
from search.engines.local import LocalEngine
from search.evaluators.job import Job, Outcome, Source
from search.evaluators.train import evaluate_candidate
from search.feasible import Candidate, Feasible
from search.seeds import derive

SMALLEST = 0.25
"""Limits of the first candidate, as a share of the budget."""


@dataclass(frozen=True)
class Ranking:
    """How one short length ranks.

    Attributes:
        steps: length of the short training.
        tau: Kendall's tau-b with the scores of the long training.
        tau_params: the same of the parameter counts, for comparison.
        tau_macs: the same of the MACs.
    """

    steps: int
    tau: float
    tau_params: float
    tau_macs: float


def draw(feasible: Feasible, count: int, seed: int) -> list[Candidate]:
    """Random candidates of different size: limits rise evenly from `SMALLEST` to the whole."""
    rng = random.Random(derive(seed, "rank"))
    taken: set[str] = set()
    drawn: list[Candidate] = []
    for index in range(count):
        share = Feasible(
            feasible.space,
            feasible.frame,
            feasible.budget.scaled(SMALLEST + (1 - SMALLEST) * index / max(1, count - 1)),
            feasible.size,
        )
        drawn.append(share.near({}, rng, taken))
        taken.add(drawn[-1].architecture.id)
    return drawn


def measure(
    candidates: Sequence[Candidate],
    lengths: Sequence[int],
    source: Source,
    folder: Path,
    *,
    seed: int,
    workers: int,
) -> Iterator[tuple[Candidate, int, float]]:
    """Train every candidate at every length; (candidate, steps, score) as they come.

    `folder` keeps one file per training that ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[Job] = []
    pairs = list(product(range(len(candidates)), lengths))
    for number, (index, steps) in enumerate(pairs):
        kept = _file(folder, candidates[index], steps)
        if kept.exists():
            yield candidates[index], steps, json.loads(kept.read_text())["score"]
            continue
        jobs.append(
            Job(
                number=number,
                architecture=candidates[index].architecture,
                recipe=PROXY.lasting(steps),
                source=source,
                seed=derive(seed, "train", index),
                device="cpu",
                weights=folder / f"{candidates[index].architecture.id}-{steps}.safetensors",
            )
        )
    with LocalEngine[Job, Outcome](evaluate_candidate, _died, workers) as engine:
        for job, outcome in engine.run(jobs):
            index, steps = pairs[job.number]
            if outcome.reason is None:
                score = outcome.curve[-1][1]
                kept = {"score": score, "seconds": outcome.seconds, "curve": outcome.curve}
                write_text_atomic(_file(folder, candidates[index], steps), json.dumps(kept))
                yield candidates[index], steps, score


def rankings(scores: Sequence[tuple[Candidate, int, float]]) -> list[Ranking]:
    """How each length but the longest ranks, over the candidates that have both scores."""
    by_length: dict[int, dict[str, float]] = {}
    costs = {c.architecture.id: c.cost for c, _, _ in scores}
    for candidate, steps, score in scores:
        by_length.setdefault(steps, {})[candidate.architecture.id] = score
    *short, longest = sorted(by_length)
    truth = by_length[longest]
    return [
        Ranking(
            steps,
            _tau([by_length[steps][i] for i in truth], list(truth.values())),
            _tau([float(costs[i].params) for i in truth], list(truth.values())),
            _tau([float(costs[i].macs) for i in truth], list(truth.values())),
        )
        for steps in short
    ]


def _tau(first: Sequence[float], second: Sequence[float]) -> float:
    found: Any = kendalltau(first, second)  # its type hides the fields
    return float(found.statistic)


def _file(folder: Path, candidate: Candidate, steps: int) -> Path:
    return folder / f"{candidate.architecture.id}-{steps}.json"


def _died(job: Job) -> Outcome:
    return Outcome(number=job.number, reason="its worker process died twice")
