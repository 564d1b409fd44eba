"""Recipes: every number that decides how a network is trained, as one frozen value.

A recipe comes by its name, or from a file:

    base = "proxy"      # what is not said is as there
    steps = 400
    patch_px = 24
    matrix_lr = 5e-3
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from lightir_core.errors import TrainingError, nearest
from lightir_core.settings_file import READERS, read_settings_file

CHOICES: dict[str, tuple[str, ...]] = {
    "optimiser": ("muon", "adam"),
    "schedule": ("cosine", "trapezoid", "halving"),
    "loss": ("l1", "charbonnier", "mse"),
}
"""Settings of a recipe that are one of a few names."""

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
        for name, choices in CHOICES.items():
            known = getattr(self, name) in choices
            self._demand(name, known, f"one of {', '.join(choices)}")

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
        """Return the peak learning rates that are in use."""
        rates = {"lr": self.lr, "matrix_lr": self.matrix_lr}
        return rates if self.optimiser == "muon" else {"lr": self.lr}

    def suited(self, *, sparse: bool) -> Recipe:
        """Return the recipe for damage that is sparse, or that is everywhere.

        Where most pixels are as they should be, the smallest absolute error on average is that of
        leaving all of them alone: a short training on snow ends there, exactly. Squared errors
        have no such resting place, so they replace "l1"; a recipe that asks for another loss has
        it.
        """
        return replace(self, loss="mse") if sparse and self.loss == "l1" else self

    def lasting(self, steps: int) -> Recipe:
        """Return the same recipe over another number of steps."""
        return replace(self, steps=steps)

    def gentler(self) -> Recipe:
        """Return the same recipe at lower rates, for a training that diverged with these."""
        return replace(self, lr=GENTLER * self.lr, matrix_lr=GENTLER * self.matrix_lr)


PROXY = Recipe(name="proxy", steps=400, schedule="trapezoid")
"""Scores a candidate within seconds to a minute on a CPU core; chosen to rank, not to finish.

Small patches, so that steps are many; Muon, which short trainings profit from most; the full rate
for half of them, which leaves the plateau of a sharpened interpolation sooner. 400 steps are the
fewest whose scores were seen to rank (results/published/ranking.md).
"""

FINISH = Recipe(name="finish", steps=300, matrix_lr=5e-3, patience=4)
"""Trains a proxy-trained network on: lower peak rates, since its weights are worth keeping.

With as much patience as there are checks it never ends early, and never leaves a network worse than
it was, as a training that time cuts short otherwise may.
"""

STANDARD = Recipe(name="standard", steps=5000, patch_px=24, ema=0.99)
"""Trains a network from scratch within minutes to some hours on a CPU core: the proxy's rates, with
patches that windows at their edges waste less of, and averaged weights."""

FULL = Recipe(name="full", steps=500_000, batch=32, patch_px=64, warmup=0.01, ema=0.999)
"""Trains a network from scratch with the batch, the patches and the steps of the papers, on a GPU.

Its rates are the proxy's: nobody has tuned them at this length.
"""

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (PROXY, FINISH, STANDARD, FULL)}

BASE = "base"
"""Beside the fields of a recipe: the name of the recipe that it changes."""

_KINDS = {
    "str": (str, "a name"),
    "int": (int, "a whole number"),
    "float": (int | float, "a number"),
}
"""Which values a field of that annotation takes; words are checked by the recipe itself."""


def read_recipe(name_or_path: str | Path) -> Recipe:
    """Return the recipe of that name, or in the TOML, YAML or JSON file at that path.

    Raises:
        TrainingError: neither a known name nor a usable file; the nearest name is told.
    """
    text = str(name_or_path)
    if text in RECIPES:
        return RECIPES[text]
    path = Path(text)
    if not path.exists() and path.suffix.lower() not in READERS:
        raise TrainingError(
            f"recipe {text!r} is not known{nearest(text, RECIPES)}; use one of "
            f"{', '.join(RECIPES)}, or the path of a file with settings of your own"
        )
    settings = read_settings_file(path, what="recipe", example="steps = 400", error=TrainingError)
    return recipe_from_plain({"name": path.stem, **settings}, str(path))


def recipe_from_plain(values: Mapping[Any, Any], source: str) -> Recipe:
    """Return the recipe that names and values describe.

    Args:
        values: fields of `Recipe`; what is missing is as in the recipe that "base" names, which is
            the proxy's if it is missing too.
        source: what to call it in an error message.

    Raises:
        TrainingError: an unknown name (the nearest is told), a value of the wrong kind, or one
            that cannot train.
    """
    kinds = {field.name: str(field.type) for field in fields(Recipe)}
    for name in values:
        if name != BASE and name not in kinds:
            known = (*kinds, BASE)
            hint = nearest(str(name), known) or f"; use one of {', '.join(known)}"
            raise TrainingError(f"recipe {source!r}: unknown key {name!r}{hint}")
    given = {str(name): value for name, value in values.items() if name != BASE}
    for name, value in given.items():
        _check_kind(source, name, value, kinds[name])
    return replace(_base(values.get(BASE, PROXY.name), source), **given)


def _base(name: object, source: str) -> Recipe:
    if not isinstance(name, str) or name not in RECIPES:
        raise TrainingError(
            f"recipe {source!r}: base={name!r} is not known{nearest(str(name), RECIPES)}; use one "
            f"of {', '.join(RECIPES)}"
        )
    return RECIPES[name]


def _check_kind(source: str, name: str, value: object, annotation: str) -> None:
    kind, description = _KINDS.get(annotation, _KINDS["str"])
    if not isinstance(value, kind) or isinstance(value, bool):
        hint = ""
        if kind is not str and isinstance(value, str):  # YAML takes 5e-3 for a text
            with contextlib.suppress(ValueError):
                hint = f"; write {float(value):g}"
        raise TrainingError(f"recipe {source!r}: {name}={value!r} is not {description}{hint}")
