"""Score one candidate by the evaluator that its job names."""

from __future__ import annotations

from collections.abc import Callable

from search.evaluators.inherit import score_inherited
from search.evaluators.train import evaluate_candidate
from search.evaluators.zero_cost import score_untrained
from search.jobs import Job, Outcome

EVALUATORS: dict[str, Callable[[Job], Outcome]] = {
    "train": evaluate_candidate,
    "bank": score_inherited,
    "zero-cost": score_untrained,
}


def score_candidate(job: Job) -> Outcome:
    """Scores, or the reason why there are none."""
    return EVALUATORS[job.evaluator.kind](job)
