import pytest

from search.tracking.tensorboard_tracker import FOLDER, TensorBoardTracker

pytest.importorskip("tensorboard", reason="the extra is not installed: lightir[tensorboard]")


def scalars(folder, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(name)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_curves_and_hypervolume_can_be_read_back(told):
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
    with TensorBoardTracker(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()
