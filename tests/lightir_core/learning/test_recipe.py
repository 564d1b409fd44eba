import dataclasses

import pytest

from lightir_core.errors import TrainingError
from lightir_core.learning.recipe import FINISH, PROXY, RECIPES, Recipe


@pytest.mark.parametrize("name", ["steps", "batch", "patch_px"])
@pytest.mark.parametrize("value", [0, -3])
def test_counts_are_at_least_one(name, value):
    with pytest.raises(TrainingError, match=f"recipe 'x': {name}={value}; use >= 1"):
        Recipe(**{"name": "x", "steps": 5, name: value})


@pytest.mark.parametrize("name", ["lr", "matrix_lr", "clip_norm"])
@pytest.mark.parametrize("value", [0.0, -1e-3, float("nan"), float("inf")])
def test_rates_are_positive(name, value):
    with pytest.raises(TrainingError, match=f"recipe 'x': {name}={value}; use a number > 0"):
        Recipe(**{"name": "x", "steps": 5, name: value})


@pytest.mark.parametrize("name", ["warmup", "final_lr", "ema"])
@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0, float("nan")])
def test_shares_are_below_one(name, value):
    with pytest.raises(
        TrainingError, match=rf"recipe 'x': {name}={value}; use a share in \[0, 1\)"
    ):
        Recipe(**{"name": "x", "steps": 5, name: value})


def test_lasting_changes_the_steps_alone():
    longer = PROXY.lasting(1234)
    assert longer == dataclasses.replace(PROXY, steps=1234)
    assert PROXY.steps != 1234
    with pytest.raises(TrainingError, match="recipe 'proxy': steps=0; use >= 1"):
        PROXY.lasting(0)


def test_training_on_is_gentler_than_the_start():
    assert FINISH.matrix_lr < PROXY.matrix_lr
    assert FINISH.patch_px == PROXY.patch_px  # one check of the images' sizes serves both


def test_sparse_damage_is_trained_on_squared_errors():
    assert PROXY.suited(sparse=True) == dataclasses.replace(PROXY, loss="mse")
    assert PROXY.suited(sparse=False) == PROXY
    asked = dataclasses.replace(PROXY, loss="charbonnier")
    assert asked.suited(sparse=True) == asked


@pytest.mark.parametrize("value", [-1e-4, float("nan"), float("inf")])
def test_decay_is_not_negative(value):
    with pytest.raises(TrainingError, match=f"weight_decay={value}; use a number >= 0"):
        Recipe(name="x", steps=5, weight_decay=value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("optimiser", "muon, adam"),
        ("schedule", "cosine, trapezoid, halving"),
        ("loss", "l1, charbonnier, mse"),
    ],
)
def test_words_are_known(name, words):
    with pytest.raises(TrainingError, match=f"recipe 'x': {name}=sgd; use one of {words}"):
        Recipe(**{"name": "x", "steps": 5, name: "sgd"})


def test_a_gentler_recipe_has_lower_rates_and_nothing_else():
    gentler = Recipe(name="x", steps=5, lr=1e-2, matrix_lr=2e-2).gentler()
    assert (gentler.lr, gentler.matrix_lr) == pytest.approx((3e-3, 6e-3))
    assert gentler == Recipe(name="x", steps=5, lr=gentler.lr, matrix_lr=gentler.matrix_lr)


def test_recipes_are_known_by_their_names():
    assert list(RECIPES) == ["proxy", "finish", "standard", "full"]
    assert all(recipe.name == name for name, recipe in RECIPES.items())
