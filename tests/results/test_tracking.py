import pytest

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from results.objectives import Objective
from results.run import write_config
from results.study import Record
from results.tracking import FOLDER, MlflowTracker, TensorBoardTracker
from search.config import SearchConfig, describe

KINDS = (
    Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    Objective(name="macs", direction="minimise", unit="MACs", label="MACs"),
)
ARCHITECTURE = Architecture(
    width=8, stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)
)


@pytest.fixture
def told(tmp_path):
    """Make a run and tell a tracker, made from its folder, about its trials; the folder."""

    def tell(tracker_of):
        folder = tmp_path / "run"
        with tracker_of(folder) as tracker, Record.create(folder, KINDS) as record:
            write_config(folder, describe(SearchConfig(seed=5)))
            for number in range(3):
                cost = {"params": 1000, "macs": 10**9 * (3 - number)}
                record.begin(number, ARCHITECTURE, {"width": 8}, cost)
                if number == 2:
                    record.fail(number, "loss is NaN")
                else:
                    curve = [(10, 29.0), (20, 30.0 + number)]
                    record.finish(number, {"psnr_y": 30.0 + number}, curve, 1.5)
                tracker.trial(record.trials()[number])
        return folder

    return tell


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of files; MLflow 3 asks before it uses one."""
    mlflow = pytest.importorskip("mlflow", reason="the extra is not installed: lightir[mlflow]")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    return mlflow


@pytest.mark.filterwarnings("ignore")
def test_a_run_has_its_trials_as_children(told, store):
    folder = told(MlflowTracker)
    found = {run.info.run_name: run for run in store.search_runs(output_format="list")}
    assert set(found) == {folder.name, "trial-00000", "trial-00001", "trial-00002"}
    assert found["run"].data.params["seed"] == "5"
    assert found["run"].info.status == "FINISHED"
    second = found["trial-00001"]
    assert second.data.metrics["psnr_y"] == 31.0
    assert second.data.metrics["macs"] == 2e9
    assert second.data.params == {"width": "8"}
    assert second.data.tags["mlflow.parentRunId"] == found["run"].info.run_id
    assert found["trial-00002"].data.tags["failed"] == "loss is NaN"


def need_tensorboard():
    pytest.importorskip("tensorboard", reason="the extra is not installed: lightir[tensorboard]")


def scalars(folder, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(name)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_curves_and_hypervolume_can_be_read_back(told):
    need_tensorboard()
    home = told(TensorBoardTracker) / FOLDER
    assert sorted(path.name for path in home.iterdir()) == [
        "search", "trial-00000", "trial-00001", "trial-00002",
    ]  # fmt: skip
    assert scalars(home / "trial-00001", "psnr_y") == [(10, 29.0), (20, 31.0)]
    assert scalars(home / "trial-00001", "cost/macs") == [(0, 2e9)]
    volumes = scalars(home / "search", "hypervolume")
    assert [step for step, _ in volumes] == [0, 1]
    assert volumes[0][1] < volumes[1][1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_that_never_began_leaves_nothing(tmp_path):
    need_tensorboard()
    with TensorBoardTracker(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()
