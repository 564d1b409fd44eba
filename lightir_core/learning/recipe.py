"""Recipes: every number that decides how a network is trained, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lightir_core.errors import TrainingError


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
        warmup: share of the steps with a rising rate; the rest is a cosine down to `final_lr`.
        final_lr: last rate as a share of the peak.
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
    warmup: float = 0.05
    final_lr: float = 0.02
    clip_norm: float = 1.0
    ema: float = 0.0
    loss: Literal["l1", "charbonnier", "mse"] = "l1"
    patience: int = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("steps", "batch", "patch_px"):
            if getattr(self, name) < 1:
                raise TrainingError(f"recipe {self.name!r}: {name}={getattr(self, name)}; use >= 1")
        for name in ("lr", "matrix_lr", "clip_norm"):
            if not getattr(self, name) > 0:  # NaN is neither
                raise TrainingError(f"recipe {self.name!r}: {name}={getattr(self, name)}; use > 0")
        if self.patience < 0:
            raise TrainingError(f"recipe {self.name!r}: patience={self.patience}; use >= 0")
        for name in ("warmup", "final_lr", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingError(
                    f"recipe {self.name!r}: {name}={getattr(self, name)}; use a share in [0, 1)"
                )

    def suited(self, *, sparse: bool) -> Recipe:
        """The recipe for damage that is sparse, or that is everywhere.

        Where most pixels are as they should be, the smallest absolute error on average is that of
        leaving all of them alone: a short training on snow ends there, exactly. Squared errors
        have no such resting place.
        """
        return replace(self, loss="mse") if sparse else self

    def lasting(self, steps: int) -> Recipe:
        """The same recipe over another number of steps."""
        return replace(self, steps=steps)


PROXY = Recipe(name="proxy", steps=200)
"""Scores a candidate within seconds on a CPU core; meant to rank, not to finish."""

FINISH = Recipe(name="finish", steps=300, matrix_lr=5e-3)
"""Trains a proxy-trained network on: lower peak rates, since its weights are worth keeping."""
