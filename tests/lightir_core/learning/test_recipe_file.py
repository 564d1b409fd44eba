import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lightir_core.errors import TrainingError
from lightir_core.learning.recipe import FULL, PROXY, RECIPES, Recipe
from lightir_core.learning.recipe_file import read_recipe, recipe_from_plain

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
