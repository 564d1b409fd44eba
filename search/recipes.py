"""The two recipes of a run: of its candidates, and of the networks that it trains on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lightir_core.errors import TrainingError
from lightir_core.learning.recipe import Recipe, read_recipe, recipe_from_plain
from search.config import SearchConfig

_BEFORE = Recipe(
    name="proxy",
    steps=200,
    batch=8,
    patch_px=16,
    optimiser="muon",
    lr=1e-3,
    matrix_lr=1e-2,
    weight_decay=0.0,
    schedule="cosine",
    warmup=0.05,
    final_lr=0.02,
    clip_norm=1.0,
    ema=0.0,
    loss="l1",
    patience=0,
)

BEFORE: dict[str, Recipe] = {
    "search": _BEFORE,
    "finish": replace(_BEFORE, name="finish", steps=300, matrix_lr=5e-3),
}
"""What runs were trained by that kept no recipe."""


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """How the networks of a run are trained.

    Attributes:
        search: candidates.
        finish: finalists and pruned networks, on from the weights that they have.
    """

    search: Recipe
    finish: Recipe

    @property
    def both(self) -> tuple[Recipe, Recipe]:
        """The one of the search first."""
        return self.search, self.finish

    @property
    def longer(self) -> float:
        """How much more is computed to train a network on than to train it for the search."""
        first, second = (recipe.steps * recipe.pixels for recipe in self.both)
        return second / first


def find_recipes(config: SearchConfig) -> Recipes:
    """Return the recipes that the settings name, over as many steps as they say.

    Raises:
        TrainingError: an unknown name, or a file without a usable recipe.
    """
    return _lasting(
        read_recipe(config.training.recipe), read_recipe(config.training.finish_recipe), config
    )


def kept_recipes(kept: object, config: SearchConfig) -> Recipes:
    """Return the recipes that `recipes_to_plain` kept in a run folder.

    Args:
        kept: None is a run of before they were kept.
        config: its settings.

    Raises:
        TrainingError: what was kept is damaged, or not known to this version.
    """
    plain = {name: asdict(recipe) for name, recipe in BEFORE.items()} if kept is None else kept
    if not isinstance(plain, Mapping):
        raise TrainingError(f"the recipes of a run are {plain!r:.80}, expected their settings")
    search, finish = (_kept(plain, name) for name in BEFORE)
    return _lasting(search, finish, config)


def recipes_to_plain(recipes: Recipes) -> dict[str, Any]:
    """Return them for the run folder, so that it can repeat itself whatever becomes of a file."""
    return asdict(recipes)


def _kept(plain: Mapping[Any, Any], name: str) -> Recipe:
    values = plain.get(name)
    if not isinstance(values, Mapping):
        raise TrainingError(f"the {name} recipe of a run is {values!r:.80}, expected its settings")
    return recipe_from_plain(values, f"of the run, {name}")


def _lasting(search: Recipe, finish: Recipe, config: SearchConfig) -> Recipes:
    return Recipes(
        search=search.lasting(config.training.steps or search.steps),
        finish=finish.lasting(config.training.finish_steps or finish.steps),
    )
