"""Ask for candidates and tell what came of them: for people who bring their own training.

    with AskTell(SearchConfig(budget="400k", trials=64), Path("runs/mine")) as search:
        while question := search.ask():
            psnr = my_training(question.architecture)
            search.tell(question, {"psnr_y": psnr})
    print(search.run.front)

Stopped and started again with the same settings, it goes on where it was: what was told is not
asked again, what was asked and not told is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from results.objectives import Objective
from results.report.page import build_report
from results.run_view import Run
from search.config import SearchConfig
from search.custom_objective import (
    Scores,
    custom_plan,
    custom_record,
    custom_search,
    fidelity_of,
    outcome_of,
)
from search.jobs import Callback, Job, Outcome, Silent, formerly_listener
from search.rungs import Fidelity


@dataclass(frozen=True)
class Question:
    """A candidate to train.

    Attributes:
        number: of its trial.
        architecture: `lightir_core.network.build` makes a network of it.
        fidelity: how far to train it; the whole way, unless the settings ask for rungs.
        seed: for the first weights and whatever else is random, the same when it is asked again.
    """

    number: int
    architecture: Architecture
    fidelity: Fidelity
    seed: int


class AskTell:
    """A search that is driven from outside; a context manager that ends with a report."""

    @formerly_listener
    def __init__(
        self,
        config: SearchConfig,
        folder: Path,
        *,
        scores: Sequence[Objective] = (),
        callback: Callback | None = None,
    ) -> None:
        """Begin a search in `folder`, or go on with it.

        Args:
            config: its settings; those about training are not used.
            folder: of the run.
            scores: what you measure; none is the score of the task, such as psnr_y.
            callback: told about progress.

        Raises:
            LightIRError: an impossible setting, or a folder that is in use or of another run.
        """
        self._plan = custom_plan(config, Path(folder))
        self._record = custom_record(self._plan, scores)
        self._search = custom_search(self._plan, self._record, callback or Silent())
        self._jobs: dict[tuple[int, int], Job] = {}
        self._closed = False

    def ask(self) -> Question | None:
        """The next candidate; None when the search is over.

        A generation of candidates may be asked for before any of them is told.

        Raises:
            SearchError: the whole generation was asked for, and nothing of it told.
        """
        job = None if self._closed else self._search.ask()
        if job is None:
            self._check_answered()
            return None
        question = Question(job.number, job.architecture, fidelity_of(job), job.seed)
        self._jobs[question.number, question.fidelity.step] = job
        return question

    def tell(self, question: Question, scores: Scores) -> None:
        """Write down what a candidate scored; costs are known already.

        Raises:
            SearchError: the question was not asked, or was answered before, or an objective is
                missing among the scores.
        """
        cost = self._record.trial(question.number).cost
        for objective in self._record.objectives:
            if objective.name not in scores and objective.name not in cost:
                raise SearchError(
                    f"the scores {sorted(scores)} lack the objective {objective.name!r}; "
                    f"tell it as well, or fail the question"
                )
        job = self._taken(question)
        self._search.tell(job, outcome_of(job, scores, 0.0))

    def fail(self, question: Question, reason: str) -> None:
        """Write down that a candidate could not be scored, and why.

        Raises:
            SearchError: the question was not asked, or was answered before.
        """
        job = self._taken(question)
        self._search.tell(job, Outcome(number=question.number, reason=reason))

    @property
    def run(self) -> Run:
        """What was found so far."""
        return Run(self._plan.folder.path)

    def close(self) -> None:
        """End the search, whatever was not told, and write the report."""
        self._closed = True
        self._record.close()
        build_report(self._plan.folder.path)

    def __enter__(self) -> Self:
        """The search itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _taken(self, question: Question) -> Job:
        job = self._jobs.pop((question.number, question.fidelity.step), None)
        if job is None:
            raise SearchError(
                f"trial {question.number} is not under way: ask for it, and answer it once"
            )
        return job

    def _check_answered(self) -> None:
        if self._jobs and not self._closed:
            numbers = ", ".join(str(number) for number, _ in sorted(self._jobs))
            raise SearchError(
                f"trials {numbers} were asked for: tell what came of one of them before asking for "
                f"more"
            )
