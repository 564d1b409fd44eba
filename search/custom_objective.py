"""Searches whose candidates are trained and scored outside, by whoever uses the program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from results.files import remove_drafts
from results.objectives import Objective
from results.run import RunFolder, read_config, write_config
from results.study import Record
from search.callbacks import Callback
from search.config import SearchConfig, describe
from search.evaluators.job import Job, Outcome
from search.fidelity import Fidelity
from search.loop import Engine
from search.objectives import OBJECTIVES
from search.plan import Plan, find_space, make_plan
from search.planned import search_planned
from search.stopping import Stop, never
from spaces import space_to_plain

Scores = Mapping[str, float]
"""What was measured, by the names of objectives; costs are known and need not be among them."""

ObjectiveFunction = Callable[[Architecture, Fidelity], Scores]

OWN = "own_training"
"""In config.json: candidates were scored by a program of the user's own."""


@dataclass(frozen=True)
class Calling:
    """An engine that calls a function in this process."""

    function: ObjectiveFunction

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """What the function returned for each job; what it raises is raised."""
        for job in jobs:
            if job is not None:
                begun = time.perf_counter()
                scores = self.function(job.architecture, fidelity_of(job))
                yield job, outcome_of(job, scores, time.perf_counter() - begun)


def fidelity_of(job: Job) -> Fidelity:
    """How far the job is to be trained."""
    return Fidelity(job.until or job.recipe.steps, job.recipe.steps)


def outcome_of(job: Job, scores: Scores, seconds: float) -> Outcome:
    """The scores as what a job of ours would have given; the first makes the learning curve."""
    plain = {name: float(value) for name, value in scores.items()}
    curve = tuple((fidelity_of(job).step, value) for value in list(plain.values())[:1])
    return Outcome(number=job.number, scores=plain, curve=curve, seconds=seconds)


def own_plan(config: SearchConfig, folder: Path) -> Plan:
    """Look up what the configuration names, and make sure that something fits its budget.

    Raises:
        LightIRError: an unknown name, or an impossible setting or budget.
    """
    within = config.replace(prune_from=1.0)  # nobody would prune what is over budget
    plan = make_plan(within, folder, find_space(config.search.space, config.search.only))
    plan.feasible.check()
    return plan


def own_record(plan: Plan, scores: Sequence[Objective] = ()) -> Record:
    """The record of such a search, held for writing: a new one, or that of an earlier start.

    Args:
        plan: what is searched.
        scores: what the user measures; none is the score of the task. Costs among the objectives
            of the configuration are added to it.

    Raises:
        LightIRError: the folder is in use, or holds a run of another kind.
    """
    folder = plan.folder.path
    if RunFolder(folder).journal.exists():
        if not read_config(folder).get(OWN):
            raise SearchError(
                f"{folder} holds a run that this program trained itself; choose another folder"
            )
        record = Record.open(folder, write=True)
        remove_drafts(folder)
        return record
    costs = [OBJECTIVES[name] for name in plan.config.search.objectives if name in OBJECTIVES]
    kinds = (*scores, *costs) if scores else plan.objectives
    facts = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        OWN: True,
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


def own_search(
    plan: Plan, record: Record, engine: Engine, callback: Callback, stop: Stop = never
) -> None:
    """Search, until a limit of the configuration is reached or nothing new is left."""
    limit_s = plan.config.search.time_s or float("inf")
    search_planned(plan, record, engine, callback, time.monotonic() + limit_s, stop)
