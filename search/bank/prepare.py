"""The weight bank of a run: trained before the search, kept in its folder, never trained twice."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from lightir_core.seeds import derive
from search.bank.bank import load_bank
from search.bank.sandwich import TURNS, Sandwich
from search.bank.warmup import Warmup, warm_up
from search.callbacks import Callback, Stop
from search.devices import torch_device
from search.evaluators.images import open_images
from search.pace import measured_step
from search.plan import Plan

SHARE = 0.25
"""Share of the time limit that a warm-up may take."""

STEPS = 1200
LEAST_STEPS = 100

REPORTS = 10
"""How often progress is told."""


def prepare_bank(plan: Plan, callback: Callback, stop: Stop) -> None:
    """Train the bank, or go on with it, if the run's evaluator needs one."""
    if plan.evaluator.kind != "bank":
        return
    config = plan.config
    facts = load_bank(plan.bank)[1] if plan.bank.exists() else {}
    done = facts.get("steps", 0)
    if done and done == facts["planned"]:
        return
    sandwich = Sandwich(plan.feasible, config.search.seed)
    steps = facts["planned"] if done else _affordable(plan, sandwich, callback)
    callback.phase("warm up the weight bank", 1)
    setting = Warmup(
        recipe=plan.recipes.search.lasting(steps).suited(sparse=plan.task.is_sparse),
        seed=derive(config.search.seed, "bank"),
        device=torch_device(config),
        path=plan.bank,
    )
    progress = _Progress(callback, done, steps)
    data = open_images(plan.source).training
    bank = warm_up(setting, sandwich.network, data, progress.report, stop)
    if not stop():
        callback.item(f"{len(bank):,} weights of {len(bank.tensors):,} tensors are shared")


def _affordable(plan: Plan, sandwich: Sandwich, callback: Callback) -> int:
    """As many steps as asked for, or as a share of the time limit allows."""
    asked, time_s = STEPS, plan.config.search.time_s
    if not time_s:
        return asked
    networks = [sandwich.network(step) for step in range(len(TURNS))]
    paces = [measured_step(plan, network, plan.recipes.search) for network in networks]
    affordable = int(SHARE * time_s * len(paces) / sum(paces))
    steps = min(asked, max(affordable, LEAST_STEPS))
    if steps < asked:
        callback.note(f"time is short: {steps} steps of the weight bank in place of {asked}")
    return steps


@dataclass
class _Progress:
    """Tells every tenth of the steps, and how long the rest will take."""

    callback: Callback
    first: int
    steps: int
    begun: float = field(default_factory=time.monotonic)

    def report(self, done: int) -> None:
        if done * REPORTS // self.steps == (done - 1) * REPORTS // self.steps:
            return
        rate = (time.monotonic() - self.begun) / (done - self.first)
        left_s = round(rate * (self.steps - done))
        ahead = f", about {left_s // 60}:{left_s % 60:02d} more" if left_s else ""
        self.callback.item(f"{done:,} of {self.steps:,} steps{ahead}")
