"""What was tried: recipes that differ from the proxy's in a thing or two."""

from __future__ import annotations

from dataclasses import replace

from lightir_core.learning.recipe import PROXY, Recipe
from lightir_core.learning.recipe_file import read_recipe

_PAPERS = replace(
    PROXY, optimiser="adam", schedule="halving", warmup=0.0, clip_norm=1e9, final_lr=0.0
)

TRIES: dict[str, Recipe] = {
    "proxy": PROXY,
    "papers-2e-4": replace(_PAPERS, lr=2e-4),
    "papers-1e-3": replace(_PAPERS, lr=1e-3),
    "papers-2e-3": replace(_PAPERS, lr=2e-3),
    "papers-5e-3": replace(_PAPERS, lr=5e-3),
    "papers-1e-2": replace(_PAPERS, lr=1e-2),
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
"""By name; "papers" is Adam with a rate that is halved four times, as SwinIR (ICCVW 2021) trains,
with the batch and the patches of the proxy."""


def find_try(name: str) -> Recipe:
    """What was tried under this name, or the recipe of that name or in that file.

    Raises:
        TrainingError: neither.
    """
    return TRIES.get(name) or read_recipe(name)
