"""Score one candidate: train it by real gradient steps, or by a proxy of one batch.

`score_candidate` is what every worker process runs.
"""

from __future__ import annotations

import math
import time

import torch

from lightir_core.checkpoints import load_model, load_weights, save_weights
from lightir_core.errors import DivergedError, TrainingError
from lightir_core.learning.curve import Point, Restart
from lightir_core.learning.step import Prefetch, Teacher
from lightir_core.learning.training import StateOptions, saved_restart, saved_step, train
from lightir_core.network import Network, build
from search.evaluators.failures import guarded
from search.evaluators.images import open_images, quick_score
from search.evaluators.proxies import PROXIES
from search.jobs import Job, Outcome

CHECKS = 4
"""Points of a learning curve."""

PROXY_PATCHES = 16
"""Patches in the batch of a proxy."""


def score_candidate(job: Job) -> Outcome:
    """Return the scores of a job's network by its evaluator, or why there are none.

    A loss that gets out of hand and memory that runs out are outcomes of a search, not faults of
    it; anything else is raised.
    """
    return guarded(_by_proxy if job.evaluator.proxy else _train, job)


def _train(job: Job) -> Outcome:
    begun = time.perf_counter()
    metric = job.source.task.metric
    open_images(job.source)
    began_at, started = saved_step(job.state), time.perf_counter()
    network, curve, restart = _trained(job)
    training_s = time.perf_counter() - started
    if not job.pauses:
        save_weights(job.weights, network)
        if job.state is not None:
            job.state.unlink(missing_ok=True)
    return Outcome(
        number=job.number,
        scores={metric: curve[-1][1]},
        curve=curve,
        seconds=time.perf_counter() - begun,
        training_s=training_s,
        began_at=began_at,
        restart=restart,
    )


def _trained(job: Job) -> tuple[Network, tuple[Point, ...], Restart | None]:
    """The trained network, its learning curve, and whether that was the second attempt at it.

    A training that diverges is begun again once, from the same seed, by a gentler recipe. What is
    kept at a rung says by which, so that the next stretch goes on with it.
    """
    restart = saved_restart(job.state)
    while True:
        try:
            return *_attempt(job, restart), restart
        except DivergedError as error:
            if restart is not None:
                raise TrainingError(f"{restart.text}, and again: {error}") from None
            restart = Restart.of(error, job.recipe)
        if job.state is not None:
            job.state.unlink(missing_ok=True)


def _attempt(job: Job, restart: Restart | None) -> tuple[Network, tuple[Point, ...]]:
    device, task = torch.device(job.device), job.source.task
    data = open_images(job.source).training
    recipe = job.recipe.gentler() if restart else job.recipe
    torch.manual_seed(job.seed)
    network = build(job.architecture)
    if job.start is not None:
        load_weights(job.start, network)
    teacher = None
    if job.teacher is not None:
        parent = load_model(job.teacher).to(device)
        teacher = Teacher(network=parent.eval().requires_grad_(False))
    curve = train(
        network,
        Prefetch(data, device) if device.type == "cuda" else data,
        recipe.suited(sparse=task.is_sparse),
        seed=job.seed,
        device=device,
        validate=quick_score(job.source, device),
        teacher=teacher,
        checks=job.checks or CHECKS,
        launch_mode=job.launch_mode,
        state_options=_state_options(job, restart),
    )
    return network, curve


def _state_options(job: Job, restart: Restart | None) -> StateOptions | None:
    """Where the job's training stops, and what it leaves on the way."""
    if job.state is None:
        return None
    return StateOptions(job.until or job.recipe.steps, job.state, job.keep_s, restart)


def _by_proxy(job: Job) -> Outcome:
    begun = time.perf_counter()
    device = torch.device(job.device)
    proxy = job.evaluator.proxy
    training = open_images(job.source).training
    lq, gt = training.batch(job.seed, 0, PROXY_PATCHES, job.recipe.patch_px)
    torch.manual_seed(job.seed)
    network = build(job.architecture).to(device)
    score = PROXIES[proxy](network, lq.to(device), gt.to(device))
    if not math.isfinite(score):
        raise TrainingError(f"{proxy} became {score}")
    return Outcome(number=job.number, scores={proxy: score}, seconds=time.perf_counter() - begun)
