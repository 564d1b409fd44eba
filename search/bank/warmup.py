"""Train a bank: one step a network, its slices taken out and put back; goes on where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lightir_core.architecture import Architecture
from lightir_core.errors import TrainingError
from lightir_core.learning.optimiser import Memory, Optimiser
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Batches, distance, precision
from lightir_core.network import build
from lightir_core.seeds import derive
from search.bank.bank import MEAN, SQUARE, STEPS, VALUE, Bank, fill, load_bank
from search.callbacks import Stop, never

KEEP_S = 15.0
"""Seconds between two checkpoints."""

TOLERATED = 0.1
"""Share of the steps that may have no finite loss."""


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """How a bank is trained.

    Attributes:
        recipe: of every step, and how many there are; its schedule runs over the whole warm-up.
        seed: decides first weights and patches.
        device: where networks are trained; the bank stays in main memory.
        path: where the bank is kept.
    """

    recipe: Recipe
    seed: int
    device: torch.device
    path: Path


def warm_up(
    setting: Warmup,
    network_of: Callable[[int], Architecture],
    data: Batches,
    report: Callable[[int], None],
    stop: Stop = never,
) -> Bank:
    """The trained bank, from `setting.path` where it was kept.

    Args:
        setting: how to train.
        network_of: the architecture of each step, determined by its number.
        data: source of patches.
        report: told how many steps are done, after each.
        stop: whether to end early; what was done is kept.

    Raises:
        TrainingError: too many steps had no finite loss.
        CheckpointError: what is at `setting.path` is no bank.
    """
    bank, done, lost = Bank(), 0, 0
    if setting.path.exists():
        bank, facts = load_bank(setting.path)
        done, lost = facts["steps"], facts["lost"]
    kept, recipe = time.monotonic(), setting.recipe
    for number in range(done, recipe.steps):
        batch = data.batch(setting.seed, number, recipe.batch, recipe.patch_px)
        torch.manual_seed(derive(setting.seed, "bank", number))
        lost += not train_step(bank, network_of(number), batch, recipe, number, setting.device)
        if lost > TOLERATED * recipe.steps:
            raise TrainingError(
                f"the weight bank cannot be trained: {lost} of its first {number + 1} steps had "
                f"no finite loss; lower the recipe's rates"
            )
        last = number + 1 == recipe.steps or stop()
        if last or time.monotonic() - kept > KEEP_S:
            facts = {"steps": number + 1, "lost": lost, "planned": recipe.steps}
            bank.save(setting.path, facts)
            kept = time.monotonic()
        report(number + 1)
        if last:
            break
    return bank


def train_step(
    bank: Bank,
    architecture: Architecture,
    batch: tuple[Tensor, Tensor],
    recipe: Recipe,
    number: int,
    device: torch.device,
) -> bool:
    """One step of one network on its slices of the bank; False where the loss is no number.

    What the bank does not know yet starts as a fresh network's. Numbers are drawn from torch's
    global generator.
    """
    network = build(architecture).to(device).train()
    optimiser = Optimiser(network, recipe)
    planes = {name: tensor.to(device) for name, tensor in bank.borrow(network).items()}
    fill(network, planes)
    memories = {p: _memory(p, planes[name]) for name, p in network.named_parameters()}
    optimiser.remember(memories)
    lq, gt = (t.to(device) for t in batch)
    with precision(device):
        output = network(lq.contiguous(memory_format=torch.channels_last)).float()
    loss = distance(output, gt, recipe)
    if not math.isfinite(loss.item()):
        return False
    loss.backward()
    optimiser.step(number)
    for name, tensor in network.state_dict().items():
        planes[name][VALUE] = tensor
        planes[name][STEPS] += 1
    for name, parameter in network.named_parameters():
        planes[name][MEAN], planes[name][SQUARE] = (
            memories[parameter].mean,
            memories[parameter].square,
        )
    bank.give_back(network, {name: tensor.cpu() for name, tensor in planes.items()})
    return True


def _memory(parameter: nn.Parameter, planes: Tensor) -> Memory:
    """What the optimiser goes on from; laid out in memory as the parameter."""
    mean, square = (torch.empty_like(parameter).copy_(planes[plane]) for plane in (MEAN, SQUARE))
    # entries that fewer networks have are counted as those that most have
    return Memory(mean.detach(), square.detach(), int(planes[STEPS].max()))
