"""Score a candidate with weights inherited from the bank, as they are or after a few steps."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from lightir_core.checkpoints import save_weights
from lightir_core.data.tasks import parse_task
from lightir_core.learning.step import Batches, precision
from lightir_core.learning.training import train
from lightir_core.network import Network, build
from search.bank.bank import Bank, fill, load_bank
from search.evaluators.guard import guarded
from search.evaluators.images import open_images, quick_score
from search.jobs import Job, Outcome

RECALIBRATION = 8
"""Batches from which batch norms take their statistics."""


def score_inherited(job: Job) -> Outcome:
    """The score of the job's network with the bank's weights, which are kept to train on from."""
    return guarded(_score, job)


@lru_cache(maxsize=1)
def _opened(path: Path) -> Bank:
    return load_bank(path)[0]


def _score(job: Job) -> Outcome:
    begun = time.perf_counter()
    device, task = torch.device(job.device), parse_task(job.source.task)
    data, validate = open_images(job.source).training, quick_score(job.source, device)
    assert job.bank is not None
    torch.manual_seed(job.seed)
    network = build(job.architecture)
    bank = _opened(job.bank)
    fill(network, bank.borrow(network))
    network.to(device)

    started = time.perf_counter()
    if job.evaluator.steps:
        recipe = job.recipe.suited(sparse=task.is_sparse).lasting(job.evaluator.steps)
        train(network, data, recipe, seed=job.seed, device=device, validate=lambda _: 0.0, checks=1)
    recalibrate(network, data, job.seed, job.recipe.batch, job.recipe.patch_px)
    score = validate(network.eval())
    training_s = time.perf_counter() - started
    save_weights(job.weights, network)
    return Outcome(
        number=job.number,
        scores={task.metric: score},
        curve=((job.evaluator.steps, score),),
        seconds=time.perf_counter() - begun,
        training_s=training_s,
    )


@torch.no_grad()
def recalibrate(network: Network, data: Batches, seed: int, batch: int, patch_px: int) -> None:
    """Take the statistics of every batch norm anew, as the plain mean over a few batches.

    Those in the bank are of all the networks that share it (Yu and Huang, ICCV 2019, section 3.3).
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    device = next(network.parameters()).device
    network.train()
    for number in range(RECALIBRATION):
        for norm in norms:
            norm.momentum = 1 / (number + 1)
        lq, _ = data.batch(seed, number, batch, patch_px)
        with precision(device):
            network(lq.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
