"""The search of a plan: which strategy, which jobs, when it ends."""

from __future__ import annotations

from results.study import Record
from search.callbacks import Callback, Stop, never
from search.loop import Limits, Search
from search.plan import Plan
from search.strategies import STRATEGIES, Scenario
from search.trainings import trial_job


def plan_search(
    plan: Plan, record: Record, callback: Callback, deadline: float, stop: Stop = never
) -> Search:
    """Return the search of a plan, which ends at a limit of the configuration or for want of new.

    Args:
        plan: what is searched.
        record: of the trials; those in it are not run again.
        callback: told about progress.
        deadline: by `time.monotonic`, when no more trials begin.
        stop: likewise, when it says so.
    """
    config = plan.config.search
    scenario = Scenario(plan.feasible, record.objectives, config.generation, config.seed)
    callback.phase("search", config.trials)
    return Search(
        STRATEGIES[config.strategy](scenario),
        record,
        lambda number, candidate, until: trial_job(plan, number, candidate, until),
        Limits(config.trials, config.generation, deadline, config.patience, stop),
        callback,
        plan.rungs,
    )
