"""One way to train that is raced: a recipe, and what no recipe says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lightir_core.architecture import Architecture
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Batches
from lightir_core.network import Network


def _as_it_is(architecture: Architecture) -> Architecture:
    return architecture


def _as_built(network: Network) -> None:
    """Leave the weights alone."""


def _as_drawn(source: Batches, steps: int) -> Batches:
    del steps
    return source


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """How a network is made and trained.

    Attributes:
        recipe: its number of steps does not count.
        shape: what is trained in place of an architecture.
        begin: changes the weights that a network starts with, in place.
        patches: what a training of so many steps sees in place of its source's batches.
        half: bfloat16, or single precision, or None for what the machine is good at.
    """

    recipe: Recipe
    shape: Callable[[Architecture], Architecture] = _as_it_is
    begin: Callable[[Network], None] = _as_built
    patches: Callable[[Batches, int], Batches] = _as_drawn
    half: bool | None = None

    @property
    def is_recipe(self) -> bool:
        """Whether its recipe says all of it."""
        return self == Attempt(recipe=self.recipe)
