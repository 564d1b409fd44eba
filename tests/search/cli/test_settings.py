import json
import os

import pytest
import typer
from typer.testing import CliRunner

from lightir_core.errors import DataError, SearchError
from search.cli.flags import with_settings
from search.cli.settings import from_environment, read_settings, settle
from search.config import PARTS, SETTINGS, SearchConfig, config_from_plain, describe

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
    config = settle({}, written(tmp_path, name, text))
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
    config = settle({}, file)
    assert (config.training.recipe, config.training.finish_recipe) == (
        str(tmp_path / "mine.toml"),
        "finish",
    )
    monkeypatch.chdir(tmp_path)
    there = settle({"recipe": "mine.toml"})
    assert there.training.recipe == str(tmp_path / "mine.toml")


def test_the_config_of_a_run_repeats_it(tmp_path):
    config = SearchConfig(budget="300k", trials=7, task="denoise:25", time_s=90.0, presets=True)
    plain = {"format": "lightir-run", "version": 1, **describe(config)}
    assert settle({}, written(tmp_path, "config.json", json.dumps(plain))) == config


def test_flags_beat_the_environment_which_beats_the_file(tmp_path, monkeypatch):
    file = written(tmp_path, "x.toml", 'budget = "1k"\ntrials = 1\nseed = 1\n')
    monkeypatch.setenv("LIGHTIR_TRIALS", "2")
    monkeypatch.setenv("LIGHTIR_SEED", "2")
    config = settle({"seed": 3}, file)
    assert (config.search.budget, config.search.trials, config.search.seed) == ("1k", 2, 3)


def test_flags_that_were_not_given_leave_the_file_alone(tmp_path):
    assert settle({}, written(tmp_path, "x.toml", "trials = 5\n")).search.trials == 5


def test_a_time_given_anew_replaces_both_spellings(tmp_path):
    file = written(tmp_path, "x.json", '{"time_s": 30}')
    assert settle({}, file).search.time_s == 30
    assert settle({"time_s": "10min"}, file).search.time_s == 600


def test_environment_variables_are_texts_of_every_kind(monkeypatch):
    monkeypatch.setenv("LIGHTIR_BUDGET", "70k")
    monkeypatch.setenv("LIGHTIR_PRESETS", "true")
    monkeypatch.setenv("LIGHTIR_OBJECTIVES", "psnr,latency")
    monkeypatch.setenv("LIGHTIR_ONLY", "window=8x8,4x16;heads=2")
    monkeypatch.setenv("LIGHTIR_TIME", "90s")
    monkeypatch.setenv("LIGHTIR_CHANNELS", "1")
    config = settle({})
    assert config.search.budget == "70k"
    assert config.search.presets is True
    assert config.search.objectives == ("psnr", "latency")
    assert config.search.only == ("window=8x8,4x16", "heads=2")
    assert (config.search.time_s, config.data.task) == (90, "sr-x2,gray")


def test_nothing_said_is_the_default():
    assert settle({}) == SearchConfig()


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
        settle({}, written(tmp_path, name, text))


def test_other_numbers_of_channels_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"channels=2"):
        settle({}, written(tmp_path, "x.toml", "channels = 2\n"))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(SearchError, match=r"cannot read settings .*No such file"):
        read_settings(tmp_path / "x.toml")


def test_a_misspelt_variable_is_said():
    with pytest.raises(SearchError, match=r"'bugdet' in the environment .*mean 'budget'"):
        from_environment({"LIGHTIR_BUGDET": "1k", "HOME": "/"})


def test_settings_that_are_gone_decide_nothing_and_say_why(tmp_path, capsys):
    file = written(tmp_path, "x.toml", "bank-steps = 9\ntrials = 3\n")
    assert settle({}, file) == SearchConfig(trials=3)
    assert "note: setting 'bank_steps' in x.toml decides nothing: there is no" in (
        capsys.readouterr().err
    )


@with_settings
def command(context: typer.Context, first: bool = False, **_: object) -> None:
    """Keep what was typed."""
    typed = {n: v for n, v in context.params.items() if n != "first" and v is not None}
    typer.echo(json.dumps(typed))


@pytest.fixture(scope="module")
def flags():
    """Command line -> the values of its flags."""
    app = typer.Typer()
    app.command()(command)

    def typed(*words):
        ended = CliRunner().invoke(app, words)
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.output)

    return typed


def test_every_setting_has_a_flag_whose_default_is_that_of_the_setting(flags):
    values = flags()
    assert values.keys() <= SETTINGS.keys()
    assert config_from_plain(values) == SearchConfig()


GIVEN = {
    "data": ("a:2", ["a:2"]), "val": ("x", "x"), "fill": ("5%", "5%"), "at": ("8x8", ["8x8"]),
    "objectives": ("psnr,params", "psnr,params"), "only": ("width=8", ["width=8"]),
    "time_s": ("2h", "2h"), "engine": ("ray", "ray"), "launch": ("graphed", "graphed"),
    "start": ("none", "none"),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_may_be_typed_put_in_a_variable_or_in_a_file(name, flags, tmp_path):
    part, attribute = SETTINGS[name]
    default = PARTS[part].model_fields[attribute].default
    flag = "--" + name.removesuffix("_s").replace("_", "-")
    if isinstance(default, bool):
        text, typed = "true", flags(flag)[name]
    else:
        usual = {int: "7", float: "1.5"}.get(type(default), "x")
        text = GIVEN.get(name, ("0.5" if name == "prune" else usual,))[0]
        typed = flags(flag, text)[name]
    by_flag = settle({name: typed})
    assert by_flag != SearchConfig()
    assert settle(from_environment({f"LIGHTIR_{name.upper()}": text})) == by_flag
    file = written(tmp_path, "x.json", json.dumps({name.replace("_", "-"): text}))
    assert settle({}, file).flat().keys() == by_flag.flat().keys()
    if name not in ("data", "val"):  # which a file means from its own folder
        assert settle({}, file) == by_flag
