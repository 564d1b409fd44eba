import json
from dataclasses import replace

import pytest

from lightir_core.errors import DataError, TrainingError
from lightir_core.learning.recipe import FINISH, PROXY, STANDARD
from results.run import read_config, write_config
from search.config import SearchConfig, describe
from search.jobs import Silent
from search.plan import facts_of, make_plan
from search.recipes import BEFORE, Recipes, find_recipes, kept_recipes, recipes_to_plain
from search.trainings import trial_job
from spaces import find_space

MINE = 'base = "standard"\nsteps = 30\nbatch = 2\nlr = 2e-3\n'


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


@pytest.fixture
def plan_of(tmp_path, folder_of_photographs):
    def plan(**settings):
        settings = {"data": (str(folder_of_photographs),), "space": "small"} | settings
        config = SearchConfig(device="cpu", budget="60k", **settings)
        return make_plan(config, tmp_path / "run", find_space(config.search.space))

    return plan


def test_the_recipes_of_a_run_are_those_of_its_settings(mine):
    assert find_recipes(SearchConfig()) == Recipes(search=PROXY, finish=FINISH)
    found = find_recipes(SearchConfig(recipe=str(mine), finish_recipe="standard"))
    assert found.search == replace(STANDARD, name="mine", steps=30, batch=2, lr=2e-3)
    assert found.finish == STANDARD


def test_settings_may_say_other_steps(mine):
    found = find_recipes(SearchConfig(recipe=str(mine), steps=7, finish_steps=9))
    assert (found.search.steps, found.finish.steps) == (7, 9)


def test_training_on_is_longer_by_steps_and_pixels():
    search = replace(PROXY, steps=100, batch=8, patch_px=16)
    assert Recipes(search=search, finish=replace(search, steps=300)).longer == 3
    assert Recipes(search=search, finish=replace(search, batch=4, patch_px=32)).longer == 2


def test_a_run_goes_on_with_the_recipe_of_then(mine, plan_of, tmp_path):
    plan = plan_of(recipe=str(mine), finish_recipe="finish")
    facts = facts_of(plan, (), Silent())
    (tmp_path / "run").mkdir()
    write_config(tmp_path / "run", {**describe(plan.config), **facts})
    mine.unlink()
    known = read_config(tmp_path / "run")
    assert known["config"]["steps"] == 30
    assert kept_recipes(known["recipes"], plan.config) == plan.recipes


def test_steps_of_the_settings_hold_for_kept_recipes_too():
    kept = json.loads(json.dumps(recipes_to_plain(Recipes(search=PROXY, finish=FINISH))))
    found = kept_recipes(kept, SearchConfig(steps=5))
    assert found == Recipes(search=PROXY.lasting(5), finish=FINISH)


def test_a_run_of_before_recipes_were_kept_goes_on_as_it_began():
    found = kept_recipes(None, SearchConfig(steps=120, finish_steps=40))
    assert found.search == BEFORE["search"].lasting(120)
    assert found.finish == BEFORE["finish"].lasting(40)


@pytest.mark.parametrize(
    ("kept", "match"),
    [
        ([], r"the recipes of a run are \[\], expected their settings"),
        ({"search": {}}, "the finish recipe of a run is None"),
        ({"search": {"stesp": 1}, "finish": {}}, "'of the run, search': unknown key 'stesp'"),
    ],
)
def test_damaged_recipes_are_refused(kept, match):
    with pytest.raises(TrainingError, match=match):
        kept_recipes(kept, SearchConfig())


def test_jobs_are_trained_by_the_recipes(mine, plan_of):
    plan = plan_of(recipe=str(mine), finish_recipe="standard", steps=12, finish_steps=6)
    candidate = plan.feasible.smallest()
    job = trial_job(plan, 0, candidate, 12)
    assert job.recipe == replace(STANDARD, name="mine", steps=12, batch=2, lr=2e-3)
    assert job.source.patch_px == STANDARD.patch_px


def test_a_limit_on_memory_holds_for_the_larger_training(plan_of):
    assert (plan_of().target.cost_settings.batch, plan_of().target.cost_settings.patch_px) == (
        8,
        PROXY.patch_px,
    )
    cost_settings = plan_of(finish_recipe="full").target.cost_settings
    assert (cost_settings.batch, cost_settings.patch_px) == (32, 64)


def test_patches_larger_than_every_image_are_refused_by_name(plan_of, tmp_path):
    (tmp_path / "wide.toml").write_text("patch_px = 400\n")
    plan = plan_of(finish_recipe=str(tmp_path / "wide.toml"))
    with pytest.raises(
        DataError,
        match=r"a patch of recipe 'wide' \(patch_px=400\) takes 400x400 .*crop\d\.png with 48x48",
    ):
        facts_of(plan, (), Silent())
    assert not (tmp_path / "run").exists()
