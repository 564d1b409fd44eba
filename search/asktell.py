"""Ask for candidates and tell what came of them: for people who bring their own training.

    with AskTell(SearchConfig(budget="400k", trials=64), Path("runs/mine")) as search:
        while question := search.ask():
            psnr = my_training(question.architecture)
            search.tell(question, {"psnr_y": psnr})
    print(search.run.front)

Stopped and started again with the same settings, it goes on where it was: what was told is not
asked again, what was asked and not told is.

The search runs in a thread that does something only while `ask` or `tell` waits for it, so that
it is the very same search that the command line makes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from results.objectives import Objective
from results.report import build_report
from search.callbacks import Callback, Silent
from search.config import SearchConfig
from search.custom_objective import (
    Scores,
    fidelity_of,
    outcome_of,
    own_plan,
    own_record,
    own_search,
)
from search.evaluators.job import Job, Outcome
from search.fidelity import Fidelity
from search.found import Run


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
        self._plan = own_plan(config, Path(folder))
        self._record = own_record(self._plan, scores)
        self._desk = _Desk()
        self._jobs: dict[tuple[int, int], Job] = {}
        self._callback = callback or Silent()
        self._thread = threading.Thread(target=self._search, daemon=True)
        self._thread.start()

    def ask(self) -> Question | None:
        """The next candidate; None when the search is over.

        A generation of candidates may be asked for before any of them is told.

        Raises:
            SearchError: the whole generation was asked for, and nothing of it told.
        """
        job = self._desk.say("ask")
        if job is None:
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
        self._answer(outcome_of(job, scores, 0.0))

    def fail(self, question: Question, reason: str) -> None:
        """Write down that a candidate could not be scored, and why.

        Raises:
            SearchError: the question was not asked, or was answered before.
        """
        self._taken(question)
        self._answer(Outcome(number=question.number, reason=reason))

    @property
    def run(self) -> Run:
        """What was found so far."""
        return Run(self._plan.folder.path)

    def close(self) -> None:
        """End the search, whatever was not told, and write the report."""
        if self._thread.is_alive():
            self._desk.stopped.set()
            self._desk.say("end")
            self._thread.join()
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

    def _answer(self, outcome: Outcome) -> None:
        self._desk.say(outcome)

    def _search(self) -> None:
        try:
            own_search(
                self._plan, self._record, self._desk, self._callback, self._desk.stopped.is_set
            )
        except BaseException as error:  # raised again in the thread that waits
            self._desk.leave(error)
        else:
            self._desk.leave(None)


class _Desk:
    """An engine at which jobs are called for and brought back from another thread.

    Words go in one at a time, and each gets one reply; the search works only in between.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._words = queue.SimpleQueue[str | Outcome]()
        self._replies = queue.SimpleQueue[Job | BaseException | None]()
        self._word: str | Outcome | None = None
        self._left = False

    def say(self, word: str | Outcome) -> Job | None:
        """Say a word and wait for the reply; raised if it is an error."""
        if self._left:
            return None
        self._words.put(word)
        reply = self._replies.get()
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def leave(self, error: BaseException | None) -> None:
        """The search is over: reply to the last word."""
        if self._word is None:
            self._words.get()
        self._left = True
        self._replies.put(error)

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """Hand jobs out as they are asked for, and give back what is told of them."""
        waiting, away = iter(jobs), dict[int, Job]()
        while not self.stopped.is_set():
            word = self._word = self._word or self._words.get()
            if isinstance(word, Outcome):
                yield away.pop(word.number), word
                self._reply(None)  # it is in the record by now
            elif word == "ask":
                job = next(waiting, None)
                if job is not None:
                    away[job.number] = job
                    self._reply(job)
                elif away:
                    self._reply(SearchError(_unanswered(away)))
                else:
                    return  # and ask again in the next generation

    def _reply(self, reply: Job | BaseException | None) -> None:
        self._word = None
        self._replies.put(reply)


def _unanswered(away: dict[int, Job]) -> str:
    numbers = ", ".join(map(str, sorted(away)))
    return f"trials {numbers} were asked for: tell what came of one of them before asking for more"
