"""The main job on a cluster of this machine: the same trials as without one, and no noise."""

import pytest

from results.run import RunFolder
from search.config import load_config
from tests.end_to_end.conftest import QUICK

pytest.importorskip("ray", reason="the extra ray is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def local(command, three_photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    arguments = ("run", *QUICK, "--trials", "5", "--data", three_photographs, "--out", "run")
    ended = command(*arguments, cwd=folder)
    assert ended.status == 0, ended.err
    return arguments, folder / "run"


def test_a_cluster_makes_the_very_trials_of_one_machine(command, local, trials_of, tmp_path):
    rungs = ("--fidelity", "asha", "--rung", "1")
    arguments, _ = local
    alone = command(*arguments[:-1], "alone", *rungs, cwd=tmp_path)
    assert alone.status == 0, alone.err
    ended = command(*arguments, "--engine", "ray", "--workers", "2", *rungs, cwd=tmp_path)
    assert ended.status == 0, ended.err
    assert trials_of(tmp_path / "run") == trials_of(tmp_path / "alone")
    assert RunFolder(tmp_path / "run").report.is_file()
    assert load_config(tmp_path / "run").machine.engine == "ray"
    assert "cluster: 1 node" in ended.err
    for noise in ("ray::", "raylet", "Traceback", "Warning", "dashboard", "usage stat", "INFO"):
        assert noise not in ended.err + ended.out
    left = {path.name for path in (tmp_path / "run").rglob("*")}
    assert not {".ray", "trial-00000.state"} & left


def test_checkpoints_travel_by_way_of_a_storage(command, local, trials_of, tmp_path):
    arguments, run = local
    storage = tmp_path / "storage"
    ended = command(*arguments, "--engine", "ray", "--storage", storage, cwd=tmp_path)
    assert ended.status == 0, ended.err
    assert trials_of(tmp_path / "run") == trials_of(run)
    weights = {path.name for path in (storage / "run").rglob("*.safetensors")}
    assert {"trial-00000.safetensors", "trial-00004.safetensors"} <= weights
    assert not (storage / "run/.ray").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--gpus-per-trial", "1"), "no node has 1 processors and 1 GPUs for a training"),
        (("--address", "localhost:9"), "no cluster at localhost:9"),
        (("--gpus-per-trial", "1"), "--gpus-per-trial 1 with --device cpu"),
    ],
)
def test_what_cannot_be_is_said_before_the_first_trial(
    command, three_photographs, tmp_path, arguments, complaint
):
    device = ("--device", "cpu" if "--device" in complaint else "auto")
    quick = [word for word in QUICK if word not in ("--device", "cpu")]
    ended = command(
        *("run", *quick, *device, "--data", three_photographs, "--out", "run"),
        *("--engine", "ray", *arguments),
        cwd=tmp_path,
    )
    assert ended.status == 2
    assert complaint in ended.complaint
    assert "Traceback" not in ended.err
    assert not (tmp_path / "run").exists()
