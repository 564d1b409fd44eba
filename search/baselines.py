"""The published systems beside a search, at their own size and shrunk to its budget."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from budgets.price import price
from lightir_core import seeds
from lightir_core.architecture import Architecture
from lightir_core.errors import ArchitectureError
from lightir_core.published.presets import PRESETS, preset, shrink
from results.baselines import Baseline, read_baselines, write_baselines
from search.jobs import Callback, Driver, Job, JobQueue, Outcome, Stop
from search.plan import Plan


def evaluate_baselines(
    plan: Plan, driver: Driver, deadline: float, callback: Callback, stop: Stop
) -> None:
    """Leave presets.json in the run folder; what is there already is not done again.

    A system that is trained gets the steps, images and recipe of a trial, so that their scores may
    be compared. None is begun after `deadline` on `time.monotonic`'s clock, or once `stop` says so.
    """
    known = {baseline.name: baseline for baseline in read_baselines(plan.folder.path)}
    costs = {
        name: price(preset(name, plan.config.data.task), plan.feasible.size).to_plain()
        for name in PRESETS
        if name not in known
    }
    baselines = {n: known[n] if n in known else Baseline(name=n, cost=costs[n]) for n in PRESETS}

    def keep(baseline: Baseline) -> None:
        baselines[baseline.name] = baseline
        write_baselines(plan.folder.path, baselines.values())
        score = baseline.scores.get(plan.task.metric)
        restarted = f"; {baseline.restart}" if baseline.restart else ""
        callback.item(f"{baseline.name}: " + (baseline.reason or f"{score:.2f} dB") + restarted)

    if plan.config.search.presets:
        callback.phase("published systems", len(baselines))
        waiting = [
            baseline for baseline in baselines.values() if not (baseline.scores or baseline.reason)
        ]
        _train(plan, waiting, driver, deadline, stop, keep)
    write_baselines(plan.folder.path, baselines.values())


def _train(
    plan: Plan,
    waiting: Sequence[Baseline],
    driver: Driver,
    deadline: float,
    stop: Stop,
    keep: Callable[[Baseline], None],
) -> None:
    shrunk: dict[int, tuple[Baseline, Architecture]] = {}
    for number, baseline in enumerate(waiting):
        try:
            smaller = with_plain_skip(
                shrink(baseline.name, plan.target.fits, plan.config.data.task)
            )
        except ArchitectureError as error:
            keep(replace(baseline, reason=str(error)))
            continue
        cost = price(smaller, plan.feasible.size).to_plain()
        shrunk[number] = replace(baseline, shrunk=smaller.id, shrunk_cost=cost), smaller
    jobs = (_job(plan, number, r.name, smaller) for number, (r, smaller) in shrunk.items())
    queue = JobQueue(
        jobs,
        lambda: stop() or time.monotonic() >= deadline,
        lambda job, outcome: keep(_scored(plan, shrunk[job.number][0], outcome)),
    )
    driver.drive(queue)


def with_plain_skip(architecture: Architecture) -> Architecture:
    """Return it with the skip around everything that all trials have, the interpolated image.

    It costs nothing, and a network that starts at the interpolated image is far ahead after a few
    hundred steps of one that does not: the design of the trunk would not show.
    """
    return replace(architecture, tail=replace(architecture.tail, skip="interpolated"))


def _job(plan: Plan, number: int, name: str, architecture: Architecture) -> Job:
    return Job(
        number=number,
        architecture=architecture,
        recipe=plan.recipes.search,
        source=plan.source,
        seed=seeds.derive(plan.config.search.seed, "preset", name),
        device=plan.device,
        weights=plan.folder.checkpoints / f"preset-{name}.safetensors",
    )


def _scored(plan: Plan, baseline: Baseline, outcome: Outcome) -> Baseline:
    return replace(
        baseline,
        scores=outcome.scores,
        curve=outcome.curve,
        steps=plan.recipes.search.steps,
        seconds=outcome.seconds,
        reason=outcome.reason or "",
        restart=outcome.restart.text if outcome.restart else "",
    )
