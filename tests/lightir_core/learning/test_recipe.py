import dataclasses
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lightir_core.errors import TrainingError
from lightir_core.learning.recipe import (
    FINISH,
    FULL,
    PROXY,
    RECIPES,
    Recipe,
    read_recipe,
    recipe_from_plain,
)


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


FULL_LENGTH = Recipe(
    name="x",
    steps=7,
    batch=3,
    patch_px=12,
    optimiser="adam",
    lr=2e-3,
    matrix_lr=3e-3,
    weight_decay=0.1,
    schedule="halving",
    warmup=0.2,
    final_lr=0.3,
    clip_norm=4.0,
    ema=0.5,
    loss="charbonnier",
    patience=6,
)


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", RECIPES)
def test_a_name_is_enough(name):
    assert read_recipe(name) is RECIPES[name]


@pytest.mark.parametrize("recipe", [FULL_LENGTH, *RECIPES.values()], ids=lambda r: r.name)
def test_plain_values_say_all_of_a_recipe(recipe):
    # through JSON, as a run folder keeps it
    assert recipe_from_plain(json.loads(json.dumps(asdict(recipe))), "config.json") == recipe


def test_a_file_may_say_only_what_differs(written):
    path = written("mine.toml", "steps = 800\nmatrix_lr = 5e-3\n")
    assert read_recipe(path) == replace(PROXY, name="mine", steps=800, matrix_lr=5e-3)


def test_a_file_may_start_from_another_recipe(written):
    path = written("big.yaml", "base: full\nname: mine\nbatch: 16\nclip_norm: 2\n")
    assert read_recipe(str(path)) == replace(FULL, name="mine", batch=16, clip_norm=2)


def test_the_documented_file_is_a_recipe(written):
    text = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.S)
    changed = {"steps": 800, "batch": 16, "patch_px": 24, "matrix_lr": 5e-3, "schedule": "halving"}
    assert read_recipe(written("mine.toml", example)) == replace(PROXY, name="mine", **changed)
    assert all(f"| `{name}` |" in text for name in RECIPES)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("stesp = 4", r"recipe '.*x\.toml': unknown key 'stesp'; did you mean 'steps'\?"),
        ("zzz = 4", r"unknown key 'zzz'; use one of name, steps, batch, .*, base"),
        ("steps = 0", r"recipe 'x': steps=0; use >= 1"),
        ("steps = 4.5", r"recipe '.*x\.toml': steps=4\.5 is not a whole number"),
        ("steps = true", r"steps=True is not a whole number"),
        ("steps = '4'", r"steps='4' is not a whole number"),
        ("lr = '1e-3'", r"lr='1e-3' is not a number; write 0\.001"),
        ("lr = -1e-3", r"recipe 'x': lr=-0\.001; use a number > 0"),
        ("matrix_lr = nan", r"recipe 'x': matrix_lr=nan; use a number > 0"),
        ("weight_decay = -1", r"recipe 'x': weight_decay=-1; use a number >= 0"),
        ("ema = 1", r"recipe 'x': ema=1; use a share in \[0, 1\)"),
        ("patience = -1", r"recipe 'x': patience=-1; use >= 0"),
        ("optimiser = 3", r"optimiser=3 is not a name"),
        ("optimiser = 'sgd'", r"recipe 'x': optimiser=sgd; use one of muon, adam"),
        ("loss = 'L1'", r"recipe 'x': loss=L1; use one of l1, charbonnier, mse"),
        ("base = 'prxy'", r"recipe '.*x\.toml': base='prxy' is not known; did you mean 'proxy'"),
        ("base = 3", r"base=3 is not known; use one of proxy, finish, standard, full"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(written, line, match):
    with pytest.raises(TrainingError, match=match):
        read_recipe(written("x.toml", line + "\n"))


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("standrad", r"recipe 'standrad' is not known; did you mean 'standard'\?; use one of"),
        ("nothing.toml", r"cannot read recipe 'nothing\.toml': No such file"),
    ],
)
def test_a_recipe_that_is_nowhere_is_refused(name, match):
    with pytest.raises(TrainingError, match=match):
        read_recipe(name)


def test_yaml_reads_an_exponent_without_a_point_as_text(written):
    with pytest.raises(TrainingError, match=r"lr='5e-3' is not a number; write 0\.005"):
        read_recipe(written("x.yaml", "lr: 5e-3\n"))
