"""Score a candidate by a zero-cost proxy: one batch, no training."""

from __future__ import annotations

import math
import time

import torch

from lightir_core.errors import TrainingError
from lightir_core.network import build
from search.evaluators.guard import guarded
from search.evaluators.images import open_images
from search.evaluators.proxies import PROXIES
from search.jobs import Job, Outcome

IMAGES = 16
"""Patches in the batch."""


def score_untrained(job: Job) -> Outcome:
    """The proxy that the job's evaluator names, of freshly drawn weights."""
    return guarded(_score, job)


def _score(job: Job) -> Outcome:
    begun = time.perf_counter()
    device = torch.device(job.device)
    proxy = job.evaluator.proxy
    training = open_images(job.source).training
    lq, gt = training.batch(job.seed, 0, IMAGES, job.recipe.patch_px)
    torch.manual_seed(job.seed)
    network = build(job.architecture).to(device)
    score = PROXIES[proxy](network, lq.to(device), gt.to(device))
    if not math.isfinite(score):
        raise TrainingError(f"{proxy} became {score}")
    return Outcome(number=job.number, scores={proxy: score}, seconds=time.perf_counter() - begun)
