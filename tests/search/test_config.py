import dataclasses
import json
import os
import platform

import pytest
import torch

from lightir_core.errors import ResultsError, SearchError
from results.run import write_config
from search.config import SearchConfig, config_from_plain, describe, load_config, versions

WRONG = [
    ({"trials": 0}, r"trials=0: .*greater than or equal to 1"),
    ({"generation": 1}, r"generation=1: .*greater than or equal to 2"),
    ({"steps": -5}, r"steps=-5: .*greater than or equal to 0"),
    ({"finish_steps": -1}, "finish_steps=-1"),
    ({"finalists": 0}, "finalists=0"),
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
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'trials'"):
        SearchConfig().trials = 3


def test_settings_are_saved_whole_and_read_back(tmp_path):
    config = config_from_plain(
        {"trials": 3, "seed": 2**32 - 1, "objectives": ("psnr",), "data": "/x/ü y", "time_s": 0.5}
    )
    plain = describe(config)
    assert plain["config"].keys() == {f.name for f in dataclasses.fields(SearchConfig)}
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


def test_auto_takes_what_is_there():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert SearchConfig(device="auto").torch_device.type == expected
    assert SearchConfig(device="cpu").torch_device == torch.device("cpu")


@pytest.mark.parametrize(
    "device", ["", "gpu", "cup", "cpu:x", "tpu", "meta", "mps", "xla", "cuda:-1"]
)
def test_devices_that_nothing_trains_on(device):
    with pytest.raises(
        SearchError, match=rf"device '{device}' is not known; use auto, cpu or cuda"
    ):
        _ = SearchConfig(device=device).torch_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_missing_gpu_is_told(device):
    with pytest.raises(SearchError, match=rf"device '{device}': this torch .* sees no GPU; use"):
        _ = SearchConfig(device=device).torch_device


@pytest.mark.gpu
def test_a_gpu_number_that_is_not_there_is_told():
    with pytest.raises(SearchError, match=r"device 'cuda:99': this machine has \d+"):
        _ = SearchConfig(device="cuda:99").torch_device


def test_workers_are_as_asked_or_one_per_core():
    assert SearchConfig(workers=5).worker_count == 5
    assert SearchConfig(device="cpu").worker_count == len(os.sched_getaffinity(0))
