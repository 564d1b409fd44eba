"""Recipes: every number that decides how a network is trained, as one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from lightir_core.errors import TrainingError

WORDS: dict[str, tuple[str, ...]] = {
    "optimiser": ("muon", "adam"),
    "schedule": ("cosine", "trapezoid", "halving"),
    "loss": ("l1", "charbonnier", "mse"),
}
"""What a recipe says in words."""

GENTLER = 0.3
"""Rates of a second attempt as a share of those that a training diverged with."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: optimiser steps.
        batch: patches per step.
        patch_px: side of a low-quality patch.
        optimiser: "muon" orthogonalises the updates of matrices and convolution kernels (Jordan
            et al., 2024) and gives the rest to Adam; "adam" takes all.
        lr: Adam's peak learning rate.
        matrix_lr: Muon's peak learning rate, on the scale of Adam's update size.
        weight_decay: decoupled, on matrices only.
        schedule: after the warm-up, "cosine" is half a cosine down to `final_lr`; "trapezoid" keeps
            the peak for half of all steps, then falls to `final_lr` in a line (Hägele et al.,
            NeurIPS 2024); "halving" halves the rate after 50, 80, 90 and 95 % of all steps, as
            SwinIR does (Liang et al., ICCVW 2021: at 250k, 400k, 450k and 475k of 500k).
        warmup: share of the steps with a rising rate.
        final_lr: last rate of the cosine or the trapezoid as a share of the peak.
        clip_norm: largest norm of the whole gradient.
        ema: decay per step of the averaged weights that are evaluated; 0 is off.
        loss: mean absolute error, Charbonnier with eps 1e-3, or mean squared error.
        patience: checks in a row without a better score after which the training ends; the best
            weights are kept, those from before the training among them. 0 is off.
    """

    name: str
    steps: int
    batch: int = 8
    patch_px: int = 16
    optimiser: Literal["muon", "adam"] = "muon"
    lr: float = 1e-3
    matrix_lr: float = 1e-2
    weight_decay: float = 0.0
    schedule: Literal["cosine", "trapezoid", "halving"] = "cosine"
    warmup: float = 0.05
    final_lr: float = 0.02
    clip_norm: float = 1.0
    ema: float = 0.0
    loss: Literal["l1", "charbonnier", "mse"] = "l1"
    patience: int = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("steps", "batch", "patch_px"):
            self._demand(name, getattr(self, name) >= 1, ">= 1")
        for name in ("lr", "matrix_lr", "clip_norm"):
            self._demand(name, 0 < getattr(self, name) < math.inf, "a number > 0")  # NaN is neither
        self._demand("weight_decay", 0 <= self.weight_decay < math.inf, "a number >= 0")
        self._demand("patience", self.patience >= 0, ">= 0")
        for name in ("warmup", "final_lr", "ema"):
            self._demand(name, 0 <= getattr(self, name) < 1, "a share in [0, 1)")
        for name, words in WORDS.items():
            known = getattr(self, name) in words
            self._demand(name, known, f"one of {', '.join(words)}")

    def _demand(self, name: str, is_right: bool, wanted: str) -> None:
        if not is_right:
            value = getattr(self, name)
            raise TrainingError(f"recipe {self.name!r}: {name}={value}; use {wanted}")

    @property
    def pixels(self) -> int:
        """Low-quality pixels of a step."""
        return self.batch * self.patch_px**2

    @property
    def rates(self) -> dict[str, float]:
        """The peak learning rates that are in use."""
        rates = {"lr": self.lr, "matrix_lr": self.matrix_lr}
        return rates if self.optimiser == "muon" else {"lr": self.lr}

    def suited(self, *, sparse: bool) -> Recipe:
        """The recipe for damage that is sparse, or that is everywhere.

        Where most pixels are as they should be, the smallest absolute error on average is that of
        leaving all of them alone: a short training on snow ends there, exactly. Squared errors
        have no such resting place, so they replace "l1"; a recipe that asks for another loss has
        it.
        """
        return replace(self, loss="mse") if sparse and self.loss == "l1" else self

    def lasting(self, steps: int) -> Recipe:
        """The same recipe over another number of steps."""
        return replace(self, steps=steps)

    def gentler(self) -> Recipe:
        """The same recipe at lower rates, for a training that diverged with these."""
        return replace(self, lr=GENTLER * self.lr, matrix_lr=GENTLER * self.matrix_lr)


PROXY = Recipe(name="proxy", steps=400, schedule="trapezoid")
"""Scores a candidate within seconds to a minute on a CPU core; chosen to rank, not to finish.

Small patches, so that steps are many; Muon, which short trainings profit from most; the full rate
for half of them, which leaves the plateau of a sharpened interpolation sooner. 400 steps are the
fewest whose scores were seen to rank (results/published/ranking.md).
"""

FINISH = Recipe(name="finish", steps=300, matrix_lr=5e-3)
"""Trains a proxy-trained network on: lower peak rates, since its weights are worth keeping."""

STANDARD = Recipe(name="standard", steps=5000, patch_px=24, ema=0.99)
"""Trains a network from scratch within minutes to some hours on a CPU core: the proxy's rates, with
patches that windows at their edges waste less of, and averaged weights."""

FULL = Recipe(name="full", steps=500_000, batch=32, patch_px=64, warmup=0.01, ema=0.999)
"""Trains a network from scratch with the batch, the patches and the steps of the papers, on a GPU.

Its rates are the proxy's: nobody has tuned them at this length.
"""

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (PROXY, FINISH, STANDARD, FULL)}
