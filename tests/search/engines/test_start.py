"""What a cluster has room for, against what is asked of it."""

import pytest

from lightir_core.errors import SearchError
from search.config import SearchConfig
from search.engines.ray_nodes import NodeReport
from search.engines.ray_tune import WorkerSpec
from search.engines.start import worker_spec
from search.plan import job_device


def node(name, cpus, gpus=0.0):
    return NodeReport(id=name, name=name, address="10.0.0.1", cpus=cpus, gpus=gpus)


NODES = (node("a", 4), node("b", 8, 2))


def test_as_many_trainings_as_there_is_room_for():
    assert worker_spec(SearchConfig(engine="ray"), NODES, NODES) == WorkerSpec(12, 1.0, 0.0)
    half = SearchConfig(engine="ray", gpus_per_trial=0.5, cpus_per_trial=2.0)
    assert worker_spec(half, NODES, NODES) == WorkerSpec(4, 2.0, 0.5)
    assert worker_spec(SearchConfig(engine="ray", workers=3), NODES, NODES).workers == 3


def test_nodes_that_may_not_train_are_avoided():
    assert worker_spec(SearchConfig(engine="ray"), NODES, NODES[:1]) == WorkerSpec(4, avoid=("b",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpus_per_trial": 3}, "no node has 1 processors and 3 GPUs for a training; there are: a"),
        ({"cpus_per_trial": 9}, "no node has 9 processors for a training"),
        (
            {"gpus_per_trial": 0.5, "workers": 5},
            "--workers 5 with 1 processors and 0.5 GPUs each: the cluster has room for 4 at a time",
        ),
    ],
)
def test_more_than_there_is_is_refused(settings, message):
    with pytest.raises(SearchError, match=message):
        worker_spec(SearchConfig(engine="ray", **settings), NODES, NODES)


def test_the_device_of_a_training_on_a_cluster_is_not_the_drivers():
    assert job_device(SearchConfig(engine="ray")) == "cpu"
    assert job_device(SearchConfig(engine="ray", gpus_per_trial=0.5)) == "cuda"
    with pytest.raises(SearchError, match=r"--gpus-per-trial 0\.5 with --device cpu"):
        _ = job_device(SearchConfig(engine="ray", gpus_per_trial=0.5, device="cpu"))
    with pytest.raises(SearchError, match="--device cuda on a cluster needs a share of a GPU"):
        _ = job_device(SearchConfig(engine="ray", device="cuda"))
