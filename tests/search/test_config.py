import json
import os
import platform
import re
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from lightir_core.errors import ResultsError, SearchError
from results.run import write_config
from search.config import (
    PARTS,
    SETTINGS,
    DataSettings,
    SearchConfig,
    SearchSettings,
    TrainingSettings,
    config_from_plain,
    cpu_count,
    describe,
    load_config,
    versions,
)

WRONG = [
    ({"trials": -1}, r"trials=-1: .*greater than or equal to 0"),
    ({"generation": 1}, r"generation=1: .*greater than or equal to 2"),
    ({"steps": -5}, r"steps=-5: .*greater than or equal to 0"),
    ({"finish_steps": -1}, "finish_steps=-1"),
    ({"finalists": -1}, "finalists=-1"),
    ({"prune": 0}, r"prune=0: .*greater than 0"),
    ({"prune": 1.0}, r"prune=1\.0: .*less than 1"),
    ({"time_s": -1}, r"time_s=-1"),
    ({"seed": -1}, r"seed=-1"),
    ({"seed": 2**32}, r"seed=4294967296"),
    ({"workers": -1}, r"workers=-1"),
    ({"trials": "many"}, r"trials='many': .*integer"),
    ({"trials": 2.5}, r"trials=2\.5: .*integer"),
    ({"objectives": 7}, r"objectives=7"),
    ({"data": 7}, r"data=7: .*tuple"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_impossible_values(values, message):
    with pytest.raises(SearchError, match=message):
        config_from_plain(values)


def test_unknown_settings_are_named_with_the_nearest():
    with pytest.raises(SearchError, match=r"unknown setting 'trails'; did you mean 'trials'\?"):
        config_from_plain({"trails": 3})
    with pytest.raises(SearchError, match=r"unknown setting 'zzzz'$"):
        config_from_plain({"zzzz": 3})


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        SearchConfig().search.trials = 3


def test_settings_are_saved_whole_and_read_back(tmp_path):
    config = config_from_plain(
        {"trials": 3, "seed": 2**32 - 1, "objectives": ("psnr",), "data": "/x/ü y", "time_s": 0.5}
    )
    plain = describe(config)
    assert plain["config"].keys() == SETTINGS.keys()
    write_config(tmp_path, json.loads(json.dumps(plain)))
    assert load_config(tmp_path) == config


def test_defaults_are_possible():
    assert config_from_plain({}) == SearchConfig()


def test_a_folder_without_a_config_is_no_run(tmp_path):
    with pytest.raises(ResultsError, match=r"config\.json"):
        load_config(tmp_path)


def test_a_config_of_another_version_is_refused(tmp_path):
    plain = describe(SearchConfig())
    plain["config"]["sharpness"] = 3
    write_config(tmp_path, plain)
    with pytest.raises(SearchError, match="unknown setting 'sharpness'"):
        load_config(tmp_path)


def test_versions_are_those_of_this_machine():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__
    assert all(found.values())


def test_settings_are_given_flat_or_by_parts():
    flat = SearchConfig(trials=3, data=("photos:2",), launch="graphed", steps=7)
    parts = SearchConfig(
        search=SearchSettings(trials=3),
        data=DataSettings(data=("photos:2",)),
        training=TrainingSettings(launch="graphed", steps=7),
    )
    assert flat == parts == SearchConfig(**flat.flat())
    assert flat.data.folders == ("photos:2",)
    assert flat.replace(trials=4, steps=0) == SearchConfig(
        trials=4, data=("photos:2",), launch="graphed"
    )
    with pytest.raises(ValidationError, match="trails"):
        SearchConfig(trails=3)


def test_no_setting_is_in_two_parts_and_each_is_explained():
    fields = [field for part in PARTS.values() for field in part.model_fields.values()]
    assert len(SETTINGS) == len(fields)
    for field in fields:
        assert re.fullmatch(r"[A-Z].*\.", field.description)


def test_the_config_of_a_run_of_before_is_read(tmp_path):
    plain = describe(SearchConfig(trials=3))
    plain["config"] |= {"bank_steps": 1200, "data": None}  # gone; written otherwise
    del plain["config"]["prune_from"]
    write_config(tmp_path, plain)
    assert load_config(tmp_path) == SearchConfig(trials=3, prune_from=1.0)


def test_processors_are_those_that_this_process_may_use():
    count = "from search.config import cpu_count; print(cpu_count())"
    pin = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    for code, expected in ((count, len(os.sched_getaffinity(0))), (pin + count, 1)):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert ended.stdout == f"{expected}\n"


@pytest.mark.parametrize("missing", [("sched_getaffinity",), ("sched_getaffinity", "cpu_count")])
def test_processors_are_counted_where_a_system_does_not_say_which_may_be_used(monkeypatch, missing):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    for name in missing:
        monkeypatch.delattr(os, name)
    assert cpu_count() == 3
