import json
import os

import pytest

from lightir_core.errors import DataError, SearchError
from search.cli.settings import from_environment, parse_duration, read_settings, settle
from search.config import SearchConfig, describe

FLAGS = {
    "budget": "400k",
    "trials": 16,
    "time": "10min",
    "task": "sr-x2",
    "channels": 3,
    "fix": None,
}

TOML = """
budget = "params=300k,macs=20G"
trials = 40
finish-steps = 500
time = "2h"
fill = "5%"
objectives = "psnr, params"
data = ["photos:2", "scans"]
fix = ["width=48"]
"""

YAML = """
budget: params=300k,macs=20G
trials: 40
finish-steps: 500
time: 2h
fill: 5%
objectives: [psnr, params]
data: [photos:2, scans]
fix: width=48
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No settings from the environment that the tests run in."""
    for name in list(os.environ):
        if name.startswith("LIGHTIR_"):
            monkeypatch.delenv(name)


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(("name", "text"), [("x.toml", TOML), ("x.yaml", YAML), ("x.yml", YAML)])
def test_files_of_either_form_set_the_same(tmp_path, name, text):
    config = settle({}, (), written(tmp_path, name, text))
    assert (config.search.budget, config.search.trials, config.training.finish_steps) == (
        "params=300k,macs=20G",
        40,
        500,
    )
    assert (config.search.time_s, config.search.fill) == (7200, 0.05)
    assert config.search.objectives == ("psnr", "params")
    assert config.search.only == ("width=48",)
    # paths are meant from the file's folder
    assert config.data.folders == (f"{tmp_path / 'photos'}:2.0", str(tmp_path / "scans"))


def test_recipes_are_files_from_the_folder_of_the_settings_or_names(tmp_path, monkeypatch):
    written(tmp_path, "mine.toml", "steps = 3\n")
    written(tmp_path, "finish", "")  # a name goes before a file that happens to be called so
    file = written(tmp_path, "x.toml", 'recipe = "mine.toml"\nfinish-recipe = "finish"\n')
    config = settle({}, (), file)
    assert (config.training.recipe, config.training.finish_recipe) == (
        str(tmp_path / "mine.toml"),
        "finish",
    )
    monkeypatch.chdir(tmp_path)
    there = settle({**FLAGS, "recipe": "mine.toml"}, {"recipe"})
    assert there.training.recipe == str(tmp_path / "mine.toml")


def test_the_config_of_a_run_repeats_it(tmp_path):
    config = SearchConfig(budget="300k", trials=7, task="denoise:25", time_s=90.0, presets=True)
    plain = {"format": "lightir-run", "version": 1, **describe(config)}
    assert settle({}, (), written(tmp_path, "config.json", json.dumps(plain))) == config


def test_flags_beat_the_environment_which_beats_the_file(tmp_path, monkeypatch):
    file = written(tmp_path, "x.toml", 'budget = "1k"\ntrials = 1\nseed = 1\n')
    monkeypatch.setenv("LIGHTIR_TRIALS", "2")
    monkeypatch.setenv("LIGHTIR_SEED", "2")
    config = settle({**FLAGS, "seed": 3}, {"seed"}, file)
    assert (config.search.budget, config.search.trials, config.search.seed) == ("1k", 2, 3)


def test_flags_that_were_not_given_leave_the_file_alone(tmp_path):
    assert settle(FLAGS, (), written(tmp_path, "x.toml", "trials = 5\n")).search.trials == 5


def test_a_time_given_anew_replaces_both_spellings(tmp_path):
    file = written(tmp_path, "x.json", '{"time_s": 30}')
    assert settle(FLAGS, (), file).search.time_s == 30
    assert settle(FLAGS, {"time"}, file).search.time_s == 600


def test_environment_variables_are_texts_of_every_kind(monkeypatch):
    monkeypatch.setenv("LIGHTIR_BUDGET", "70k")
    monkeypatch.setenv("LIGHTIR_PRESETS", "true")
    monkeypatch.setenv("LIGHTIR_OBJECTIVES", "psnr,latency")
    monkeypatch.setenv("LIGHTIR_ONLY", "window=8x8,4x16;heads=2")
    monkeypatch.setenv("LIGHTIR_TIME", "90s")
    monkeypatch.setenv("LIGHTIR_CHANNELS", "1")
    config = settle(FLAGS, ())
    assert config.search.budget == "70k"
    assert config.search.presets is True
    assert config.search.objectives == ("psnr", "latency")
    assert config.search.only == ("window=8x8,4x16", "heads=2")
    assert (config.search.time_s, config.data.task) == (90, "sr-x2,gray")


def test_nothing_said_is_the_default():
    assert settle(FLAGS, ()) == SearchConfig()


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        (
            "x.toml",
            "bugdet = '1k'\n",
            r"setting 'bugdet' in x\.toml; did you mean 'budget'",
        ),
        ("x.toml", "budget = \n", r"cannot be read"),
        ("x.json", "[1]", r"hold a list, expected lines such as"),
        ("x.yaml", "a: [", r"cannot be read"),
        ("x.ini", "", r"must end in \.toml"),
        ("x.toml", "trials = 'many'\n", r"trials='many'"),
        ("x.toml", "time = 'soon'\n", r"time 'soon' is not a duration"),
        ("x.toml", "channels = 'some'\n", r"channels 'some' is not 1 or 3"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path, name, text, match):
    with pytest.raises(SearchError, match=match):
        settle({}, (), written(tmp_path, name, text))


def test_other_numbers_of_channels_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"channels=2"):
        settle({}, (), written(tmp_path, "x.toml", "channels = 2\n"))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(SearchError, match=r"cannot read settings .*No such file"):
        read_settings(tmp_path / "x.toml")


def test_a_misspelt_variable_is_said():
    with pytest.raises(SearchError, match=r"'bugdet' in the environment .*mean 'budget'"):
        from_environment({"LIGHTIR_BUGDET": "1k", "HOME": "/"})


def test_durations():
    assert [parse_duration(t) for t in ("90", "90s", "10min", "2h", "0")] == [90, 90, 600, 7200, 0]
