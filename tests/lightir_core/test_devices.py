import os

import pytest
import torch

from lightir_core.devices import find_device
from lightir_core.errors import SearchError
from search.config import SearchConfig
from search.plan import worker_count


def test_auto_takes_what_is_there():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert find_device("auto").type == expected
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    "device", ["", "gpu", "cup", "cpu:x", "tpu", "meta", "mps", "xla", "cuda:-1"]
)
def test_devices_that_nothing_trains_on(device):
    with pytest.raises(
        SearchError, match=rf"device '{device}' is not known; use auto, cpu or cuda"
    ):
        find_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_missing_gpu_is_told(device):
    with pytest.raises(SearchError, match=rf"device '{device}': this torch .* sees no GPU; use"):
        find_device(device)


@pytest.mark.gpu
def test_a_gpu_number_that_is_not_there_is_told():
    with pytest.raises(SearchError, match=r"device 'cuda:99': this machine has \d+"):
        find_device("cuda:99")


def test_workers_are_as_asked_or_one_per_core():
    assert worker_count(SearchConfig(workers=5)) == 5
    assert worker_count(SearchConfig(device="cpu")) == len(os.sched_getaffinity(0))
