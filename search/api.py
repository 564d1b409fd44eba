"""Searches from Python: `run`, `resume`, an objective of your own, or asked and told by hand.

    with AskTell(SearchConfig(budget="400k", trials=64), Path("runs/mine")) as search:
        while question := search.ask():
            psnr = my_training(question.architecture)
            search.tell(question, {"psnr_y": psnr})
    print(search.run.front)

Stopped and started again with the same settings, it goes on where it was: what was told is not
asked again, what was asked and not told is.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from results.objectives import COSTS, Objective
from results.report.page import build_report
from results.run import RunFolder, read_config, remove_drafts, write_config
from results.run_view import Run
from results.study import Record
from search import pipeline
from search.config import CUSTOM, SearchConfig, default_folder, describe
from search.jobs import Callback, Job, Outcome, Silent, drive_function
from search.loop import Search
from search.plan import Plan, make_plan
from search.rungs import Fidelity
from search.trainings import plan_search
from spaces import find_space, space_to_plain

Scores = Mapping[str, float]
"""What was measured, by the names of objectives; costs are known and need not be among them."""

ObjectiveFunction = Callable[[Architecture, Fidelity], Scores]


def scoring_by(objective: ObjectiveFunction) -> Callable[[Job], Outcome]:
    """Return what scores a job by the user's function; what that raises is raised."""

    def score(job: Job) -> Outcome:
        begun = time.perf_counter()
        scores = objective(job.architecture, fidelity_of(job))
        return outcome_of(job, scores, time.perf_counter() - begun)

    return score


def fidelity_of(job: Job) -> Fidelity:
    """Return how far the job is to be trained."""
    return Fidelity(job.until or job.recipe.steps, job.recipe.steps)


def outcome_of(job: Job, scores: Scores, seconds: float) -> Outcome:
    """Return the scores as what a job of ours would have given; the first makes the curve."""
    plain = {name: float(value) for name, value in scores.items()}
    curve = tuple((fidelity_of(job).step, value) for value in list(plain.values())[:1])
    return Outcome(number=job.number, scores=plain, curve=curve, seconds=seconds)


def begin(
    config: SearchConfig, folder: Path, scores: Sequence[Objective], callback: Callback
) -> tuple[Record, Search]:
    """Return the record of such a search, held for writing, and the search, whose time begins now.

    Args:
        config: the settings.
        folder: of the run; what an earlier start left there is gone on with.
        scores: what the user measures; none is the score of the task. Costs among the objectives
            of the configuration are added to it.
        callback: told about progress.

    Raises:
        LightIRError: an unknown name, an impossible setting or budget, or a folder that is in use
            or holds a run of another kind.
    """
    within = config.replace(prune_from=1.0)  # nobody would prune what is over budget
    plan = make_plan(within, folder, find_space(config.search.space, config.search.only))
    plan.feasible.check()
    record = _open_record(plan, scores)
    limit_s = plan.config.search.time_s or float("inf")
    return record, plan_search(plan, record, callback, time.monotonic() + limit_s)


def _open_record(plan: Plan, scores: Sequence[Objective]) -> Record:
    """Return the record: a new one, or that of an earlier start."""
    folder = plan.folder.path
    if RunFolder(folder).journal.exists():
        if not read_config(folder).get(CUSTOM):
            raise SearchError(
                f"{folder} holds a run that this program trained itself; choose another folder"
            )
        record = Record.open(folder, write=True)
        remove_drafts(folder)
        return record
    costs = [COSTS[name] for name in plan.config.search.objectives if name in COSTS]
    kinds = (*scores, *costs) if scores else plan.objectives
    facts = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        CUSTOM: True,
        "objectives": [kind.to_plain() for kind in kinds],
        "space": space_to_plain(plan.feasible.space),
        "space_size": str(plan.feasible.space.size),
        "size": str(plan.feasible.size),
    }
    return Record.create(
        folder,
        kinds,
        plan.feasible.space.distributions(),
        prepare=lambda: write_config(folder, {**describe(plan.config), **facts}),
    )


DEFAULT = SearchConfig()


def run(
    config: SearchConfig = DEFAULT,
    folder: Path | str | None = None,
    *,
    objective: ObjectiveFunction | None = None,
    scores: Sequence[Objective] = (),
    callback: Callback | None = None,
) -> Run:
    """Do what `python -m search run` does; with `objective`, score the candidates by it.

    Worker processes load the program that calls this, so it must be called below
    ``if __name__ == "__main__":``. With an objective there are none: the function is called in
    this process, one candidate after the other, and the run ends with the search, without further
    training and pruning. Such a run goes on where it was when it is called again.

    Args:
        config: the settings.
        folder: of the run; None is a new one under runs/.
        objective: (architecture, fidelity) -> scores by name.
        scores: what the objective measures; none is the score of the task, such as psnr_y.
        callback: told about progress.

    Raises:
        LightIRError: an impossible setting, no usable image, or a folder that is not new.
    """
    run_folder = Path(folder) if folder is not None else default_folder(config)
    callback = callback or Silent()
    if objective is None:
        pipeline.run(config, run_folder, callback, ["python", *sys.argv])
        return Run(run_folder)
    record, search = begin(config, run_folder, scores, callback)
    with record:
        drive_function(search, scoring_by(objective))
    build_report(run_folder)
    return Run(run_folder)


def resume(folder: Path | str, *, callback: Callback | None = None) -> Run:
    """Go on with a run that was stopped, as `python -m search resume` does.

    Raises:
        LightIRError: not a run folder, a damaged one, or one that is in use.
    """
    pipeline.resume(Path(folder), callback or Silent())
    return Run(Path(folder))


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
        self._folder = Path(folder)
        self._record, self._search = begin(config, self._folder, scores, callback or Silent())
        self._jobs: dict[tuple[int, int], Job] = {}
        self._closed = False

    def ask(self) -> Question | None:
        """Return the next candidate; None when the search is over.

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
        return Run(self._folder)

    def close(self) -> None:
        """End the search, whatever was not told, and write the report."""
        self._closed = True
        self._record.close()
        build_report(self._folder)

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
