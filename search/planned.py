"""The search of a plan: which strategy, which jobs, when it ends."""

from __future__ import annotations

from results.study import Record
from search.callbacks import Callback
from search.jobs import trial_job
from search.loop import Engine, Limits, search
from search.plan import Plan
from search.stopping import Stop, never
from search.strategies import STRATEGIES, Scenario


def search_planned(
    plan: Plan,
    record: Record,
    engine: Engine,
    callback: Callback,
    deadline: float,
    stop: Stop = never,
) -> None:
    """Search until a limit of the configuration is reached or nothing new is left.

    Args:
        plan: what is searched.
        record: of the trials; those in it are not run again.
        engine: runs the jobs.
        callback: told about progress.
        deadline: by `time.monotonic`, when no more trials begin.
        stop: likewise, when it says so.
    """
    config = plan.config.search
    setting = Scenario(plan.feasible, record.objectives, config.generation, config.seed)
    callback.phase("search", config.trials)
    search(
        STRATEGIES[config.strategy](setting),
        record,
        engine,
        lambda number, candidate, until: trial_job(plan, number, candidate, until),
        Limits(config.trials, config.generation, deadline, config.patience, stop),
        callback,
        plan.rungs,
    )
