"""What recipes are raced on and by: fixed networks, and ways to train them.

The networks are five kinds of block in three sizes; all end in the interpolated skip, so that
recipes differ in nothing but the training.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from lightir_core.architecture import Architecture, StemConfig
from lightir_core.blocks.attention import TablePosition
from lightir_core.data.tasks import Task
from lightir_core.errors import TrainingError, nearest
from lightir_core.learning.recipe import PROXY, RECIPES, Recipe, read_recipe
from lightir_core.learning.step import Batches
from lightir_core.network import Network
from lightir_core.published.presets import compacter, drt, edsr, grformer, spread_blocks, swinir
from search.config import known


def _window(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 4)
    return swinir(width, depths, (3,) * len(depths), 8, 2 * width, scale)


def _grouped(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 4)
    return grformer(width, depths, (3,) * len(depths), (8, 8), 2 * width, scale)


def _recursive(width: int, depth: int, scale: int) -> Architecture:
    """With a 3x3 stem, as the spaces have: behind DRT's own, 1x1, only windows see neighbours."""
    return replace(drt(width, depth, 3, 2, 8, width, scale=scale), stem=StemConfig())


def _casa(width: int, depth: int, scale: int) -> Architecture:
    return compacter(width, depth, 4, 8, width * 3 // 2, scale)


def _cross_layer(width: int, depth: int, scale: int) -> Architecture:
    return edsr(width, (1,) * depth, scale, keys=4, selection="soft")


SIZES = ("15k", "90k", "400k")
SYSTEMS: dict[str, tuple[Callable[[int, int, int], Architecture], tuple[tuple[int, int], ...]]] = {
    "window": (_window, ((18, 2), (30, 8), (66, 8))),
    "grouped": (_grouped, ((18, 2), (42, 4), (66, 8))),
    "recursive": (_recursive, ((16, 2), (64, 1), (96, 2))),
    "casa": (_casa, ((16, 3), (24, 12), (48, 16))),
    "cross-layer": (_cross_layer, ((12, 3), (20, 8), (44, 8))),
}
"""Each kind's design, and the width and depth that give about so many parameters."""


def system(kind: str, size: str, task: Task) -> Architecture:
    """Return one network of the race, for images of the task."""
    design, shapes = SYSTEMS[kind]
    made = design(*shapes[SIZES.index(size)], task.scale)
    channels = {"in_channels": task.in_channels, "out_channels": task.out_channels}
    return replace(made, **channels, tail=replace(made.tail, skip="interpolated"))


def choose_systems(kinds: str, sizes: str) -> tuple[tuple[str, str], ...]:
    """Return kind and size of the chosen networks, both given as names joined by commas."""
    for kind in kinds.split(","):
        known("kind", kind, SYSTEMS)
    for size in sizes.split(","):
        known("size", size, dict.fromkeys(SIZES))
    return tuple((kind, size) for size in sizes.split(",") for kind in kinds.split(","))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """How a network is made and trained.

    Attributes:
        recipe: its number of steps does not count.
        shape: what is trained in place of an architecture, or None.
        begin: changes the weights that a network starts with, in place, or None.
        patches: what a training of so many steps sees in place of its source's batches, or None.
        half: bfloat16, or single precision, or None for what the machine is good at.
    """

    recipe: Recipe = PROXY
    shape: Callable[[Architecture], Architecture] | None = None
    begin: Callable[[Network], None] | None = None
    patches: Callable[[Batches, int], Batches] | None = None
    half: bool | None = None


def without_skip(architecture: Architecture) -> Architecture:
    """Let the network make the whole image, not what an interpolation lacks."""
    return replace(architecture, tail=replace(architecture.tail, skip="none"))


def plain_stem(network: Network) -> None:
    """Start the first layer as torch starts it, not blind to flat areas and strong."""
    network.stem.conv.reset_parameters()


@torch.no_grad()
def zero_branches(network: Network) -> None:
    """Start every residual branch as nothing."""
    ends = ("mixer.output", "mixer.conv2", "feed_forward.outward")
    for name, parameter in network.stages.named_parameters():
        if any(end in name for end in ends):
            nn.init.zeros_(parameter)


@torch.no_grad()
def wide_matrices(network: Network) -> None:
    """Start matrices with a deviation of 0.5/√inputs, not 0.02."""
    for name, parameter in network.stages.named_parameters():
        is_matrix = name.endswith("weight") and parameter.ndim in (2, 3)
        if is_matrix and "position" not in name:
            nn.init.normal_(parameter, std=0.5 / math.sqrt(parameter.shape[-1]))


@torch.no_grad()
def local_positions(network: Network) -> None:
    """Start position tables with −d²/2, d the distance to an offset drawn for the head."""
    for module in network.modules():
        if isinstance(module, TablePosition):
            axis = torch.arange(math.isqrt(len(module.table)), dtype=torch.float32)
            offsets = torch.cartesian_prod(axis, axis) - axis.mean()
            centres = torch.randn(module.table.shape[1], 2)
            module.table.sub_(0.5 * torch.cdist(offsets, centres).square())


@dataclass(frozen=True)
class Detailed:
    """Batches a share of whose patches are the most detailed `of` so many of `source`."""

    source: Batches
    of: int
    share: float

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return patches, picked by the mean difference of neighbours in a row."""
        picked = round(self.share * batch)
        plain = batch - picked
        lq, gt = self.source.batch(seed, step, plain + picked * self.of, patch_px)
        detail = lq[plain:].diff(dim=-1).abs().mean((1, 2, 3)).view(picked, self.of)
        best = plain + torch.arange(picked) * self.of + detail.argmax(1)
        kept = torch.cat([torch.arange(plain), best])
        return lq[kept], gt[kept]


@dataclass(frozen=True)
class Growing:
    """Batches of `source` whose (patches, side) change after half of `steps`."""

    source: Batches
    steps: int
    first: tuple[int, int]
    second: tuple[int, int]

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return patches, whatever shape was asked for."""
        shape = self.first if 2 * step < self.steps else self.second
        return self.source.batch(seed, step, *shape)


_PAPERS = replace(
    PROXY, optimiser="adam", schedule="halving", warmup=0.0, clip_norm=1e9, final_lr=0.0
)

_RECIPES: dict[str, Recipe] = {
    "proxy": PROXY,
    "adam": replace(PROXY, optimiser="adam", lr=2e-3),
    "adam-5e-3": replace(PROXY, optimiser="adam", lr=5e-3),
    "matrix-lr-5e-3": replace(PROXY, matrix_lr=5e-3),
    "matrix-lr-2e-2": replace(PROXY, matrix_lr=2e-2),
    "lr-3e-3": replace(PROXY, lr=3e-3),
    "lr-5e-3": replace(PROXY, lr=5e-3),
    "batch-2": replace(PROXY, batch=2),
    "batch-4": replace(PROXY, batch=4),
    "batch-16": replace(PROXY, batch=16),
    "patch-24": replace(PROXY, batch=4, patch_px=24),
    "patch-32": replace(PROXY, batch=4, patch_px=32),
    "warmup-0": replace(PROXY, warmup=0.0),
    "warmup-20%": replace(PROXY, warmup=0.2),
    "cosine": replace(PROXY, schedule="cosine"),
    "halving": replace(PROXY, schedule="halving"),
    "to-zero": replace(PROXY, final_lr=0.0),
    "ema": replace(PROXY, ema=0.98),
    "charbonnier": replace(PROXY, loss="charbonnier"),
    "mse": replace(PROXY, loss="mse"),
    "clip-0.1": replace(PROXY, clip_norm=0.1),
    "no-clip": replace(PROXY, clip_norm=1e9),
    "weight-decay": replace(PROXY, weight_decay=0.1),
}

TRIES: dict[str, Attempt] = {
    **{name: Attempt(recipe=recipe) for name, recipe in _RECIPES.items()},
    **{
        f"papers-{lr}": Attempt(recipe=replace(_PAPERS, lr=float(lr)), begin=plain_stem)
        for lr in ("2e-4", "1e-3", "2e-3", "5e-3", "1e-2")
    },
    "bfloat16": Attempt(half=True),
    "no-skip": Attempt(shape=without_skip),
    "plain-stem": Attempt(begin=plain_stem),
    "zero-branches": Attempt(begin=zero_branches),
    "wide-matrices": Attempt(begin=wide_matrices),
    "local-positions": Attempt(begin=local_positions),
    "detailed-1-of-2": Attempt(patches=lambda data, _: Detailed(data, 2, 1.0)),
    "half-detailed-1-of-4": Attempt(patches=lambda data, _: Detailed(data, 4, 0.5)),
    "batch-4-then-12": Attempt(patches=lambda data, n: Growing(data, n, (4, 16), (12, 16))),
    "patch-16-then-24": Attempt(patches=lambda data, n: Growing(data, n, (8, 16), (4, 24))),
}
"""By name; "papers" is Adam with a rate that is halved four times, as SwinIR (ICCVW 2021) trains,
with the batch and the patches of the proxy and the first layer as torch starts it."""


def find_try(name: str) -> Attempt:
    """Return what was tried under this name, or the recipe of that name or in that file.

    Raises:
        TrainingError: neither; the nearest name is part of the message.
    """
    if name in TRIES:
        return TRIES[name]
    if name in RECIPES or Path(name).suffix:
        return Attempt(recipe=read_recipe(name))
    names = dict.fromkeys([*TRIES, *RECIPES])
    raise TrainingError(
        f"recipe {name!r} is not known{nearest(name, names)}; use one of {', '.join(names)}, or "
        "the path of a file with settings of your own"
    )


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a try that is nothing but a recipe; raises as `find_try`.

    Raises:
        TrainingError: not known, or more than a recipe.
    """
    attempt = find_try(name)
    if attempt != Attempt(recipe=attempt.recipe):
        raise TrainingError(
            f"{name!r} changes more than a recipe can say; use one of {', '.join(_RECIPES)}, "
            "or a file"
        )
    return attempt.recipe
