"""Searches whose candidates are trained and scored outside, by whoever uses the program."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from results.objectives import COSTS, Objective
from results.run import RunFolder, read_config, remove_drafts, write_config
from results.study import Record
from search.config import CUSTOM, SearchConfig, describe, find_space
from search.jobs import Callback, Job, Outcome, Stop, never
from search.loop import Search
from search.plan import Plan, make_plan
from search.rungs import Fidelity
from search.trainings import plan_search
from spaces import space_to_plain

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
    """How far the job is to be trained."""
    return Fidelity(job.until or job.recipe.steps, job.recipe.steps)


def outcome_of(job: Job, scores: Scores, seconds: float) -> Outcome:
    """The scores as what a job of ours would have given; the first makes the learning curve."""
    plain = {name: float(value) for name, value in scores.items()}
    curve = tuple((fidelity_of(job).step, value) for value in list(plain.values())[:1])
    return Outcome(number=job.number, scores=plain, curve=curve, seconds=seconds)


def custom_plan(config: SearchConfig, folder: Path) -> Plan:
    """Look up what the configuration names, and make sure that something fits its budget.

    Raises:
        LightIRError: an unknown name, or an impossible setting or budget.
    """
    within = config.replace(prune_from=1.0)  # nobody would prune what is over budget
    plan = make_plan(within, folder, find_space(config.search.space, config.search.only))
    plan.feasible.check()
    return plan


def custom_record(plan: Plan, scores: Sequence[Objective] = ()) -> Record:
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


def custom_search(plan: Plan, record: Record, callback: Callback, stop: Stop = never) -> Search:
    """Return the search of such a run, whose time begins now."""
    limit_s = plan.config.search.time_s or float("inf")
    return plan_search(plan, record, callback, time.monotonic() + limit_s, stop)
