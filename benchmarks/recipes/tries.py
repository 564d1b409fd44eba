"""What was tried: ways to train that differ from the proxy's in a thing or two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.recipes import changes
from benchmarks.recipes.attempt import Attempt
from lightir_core.errors import TrainingError, nearest
from lightir_core.learning.recipe import PROXY, RECIPES, Recipe
from lightir_core.learning.recipe_file import read_recipe

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
        f"papers-{lr}": Attempt(recipe=replace(_PAPERS, lr=float(lr)), begin=changes.plain_stem)
        for lr in ("2e-4", "1e-3", "2e-3", "5e-3", "1e-2")
    },
    "bfloat16": Attempt(recipe=PROXY, half=True),
    "no-skip": Attempt(recipe=PROXY, shape=changes.without_skip),
    "plain-stem": Attempt(recipe=PROXY, begin=changes.plain_stem),
    "zero-branches": Attempt(recipe=PROXY, begin=changes.zero_branches),
    "wide-matrices": Attempt(recipe=PROXY, begin=changes.wide_matrices),
    "local-positions": Attempt(recipe=PROXY, begin=changes.local_positions),
    "detailed-1-of-2": Attempt(recipe=PROXY, patches=changes.detailed(2)),
    "half-detailed-1-of-4": Attempt(recipe=PROXY, patches=changes.detailed(4, 0.5)),
    "batch-4-then-12": Attempt(recipe=PROXY, patches=changes.growing((4, 16), (12, 16))),
    "patch-16-then-24": Attempt(recipe=PROXY, patches=changes.growing((8, 16), (4, 24))),
}
"""By name; "papers" is Adam with a rate that is halved four times, as SwinIR (ICCVW 2021) trains,
with the batch and the patches of the proxy and the first layer as torch starts it."""


def find_try(name: str) -> Attempt:
    """What was tried under this name, or the recipe of that name or in that file.

    Raises:
        TrainingError: neither; the nearest name is told.
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
    """What was tried under this name, if a recipe says all of it; or as `find_try`.

    Raises:
        TrainingError: not found, or more than a recipe.
    """
    found = find_try(name)
    if not found.is_recipe:
        only = ", ".join(known for known, attempt in TRIES.items() if attempt.is_recipe)
        raise TrainingError(
            f"{name!r} changes more than a recipe can say; use one of {only}, or a file"
        )
    return found.recipe
