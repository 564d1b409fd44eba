import pytest

from search.tracking.mlflow_tracker import MlflowTracker

mlflow = pytest.importorskip("mlflow", reason="the extra is not installed: lightir[mlflow]")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of files; MLflow 3 asks before it uses one."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())


@pytest.mark.usefixtures("store")
@pytest.mark.filterwarnings("ignore")
def test_a_run_has_its_trials_as_children(told):
    folder = told(MlflowTracker)
    found = {run.info.run_name: run for run in mlflow.search_runs(output_format="list")}
    assert set(found) == {folder.name, "trial-00000", "trial-00001", "trial-00002"}
    assert found["run"].data.params["seed"] == "5"
    assert found["run"].info.status == "FINISHED"
    second = found["trial-00001"]
    assert second.data.metrics["psnr_y"] == 31.0
    assert second.data.metrics["macs"] == 2e9
    assert second.data.params == {"width": "8"}
    assert second.data.tags["mlflow.parentRunId"] == found["run"].info.run_id
    assert found["trial-00002"].data.tags["failed"] == "loss is NaN"
