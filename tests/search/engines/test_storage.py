"""Files that travel by way of a storage, without a cluster."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="the extra ray is not installed")

from lightir_core.checkpoints import load_tensors, save_model, save_weights
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import RunFailedError, SearchError
from lightir_core.learning.recipe import PROXY
from lightir_core.network import build
from lightir_core.published.presets import preset
from search.engines.ray_tune import CheckpointStorage, score_stored
from search.jobs import Job, Outcome


@pytest.fixture
def storage(tmp_path):
    (tmp_path / "runs/mine").mkdir(parents=True)
    return CheckpointStorage(f"file://{tmp_path}/storage", tmp_path / "runs/mine")


@pytest.fixture
def job(storage):
    network = build(preset("swinir-light"))
    save_model(storage.root / "models/parent", network)
    save_weights(storage.root / "checkpoints/start.safetensors", network)
    return Job(
        number=3,
        architecture=network.architecture,
        recipe=PROXY,
        source=ImageSource(task=parse_task("sr-x2")),
        seed=0,
        device="cpu",
        weights=storage.root / "checkpoints/new.safetensors",
        start=storage.root / "checkpoints/start.safetensors",
        teacher=storage.root / "models/parent",
        state=storage.root / "checkpoints/new.state",
    )


def names(storage):
    files = Path(storage.address.removeprefix("file://")).rglob("*")
    return sorted(path.name for path in files if path.is_file())


def test_a_job_gets_what_it_begins_from_and_its_weights_come_back(storage, job):
    def work(here):
        assert storage.scratch in here.weights.parents
        tensors, _ = load_tensors(here.start)
        assert (here.teacher / "architecture.json").is_file()
        here.weights.parent.mkdir(exist_ok=True)
        here.weights.write_bytes(b"trained")
        return Outcome(number=here.number, scores={"tensors": len(tensors)})

    storage.check()
    for path in job.inputs:
        storage.upload(path, storage.root)
    outcome = score_stored(work, storage, job)
    assert storage.download(job.weights, storage.root)
    assert outcome.scores["tensors"] > 10
    assert job.weights.read_bytes() == b"trained"
    assert names(storage) == [
        "architecture.json",
        "new.safetensors",
        "start.safetensors",
        "weights.safetensors",
    ]


def test_what_is_kept_on_the_way_waits_in_the_storage_for_another_worker(storage, job):
    def kept(here):
        here.state.parent.mkdir(exist_ok=True, parents=True)
        here.state.write_bytes(b"half-way")
        return Outcome(number=here.number)

    def go_on(here):
        assert here.state.read_bytes() == b"half-way"
        here.state.unlink()
        return Outcome(number=here.number)

    storage.check()
    paused = replace(job, start=None, teacher=None, until=5)
    score_stored(kept, storage, paused)
    assert names(storage) == ["new.state"]
    storage.scratch.joinpath("checkpoints/new.state").unlink()  # another node
    score_stored(go_on, storage, replace(paused, until=None))
    assert names(storage) == []


def test_a_storage_that_fills_up_ends_the_run_with_a_sentence(storage, job):
    def full(here):
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFailedError, match=r"storage file://.*No space left.*resume"):
        score_stored(full, storage, replace(job, start=None, teacher=None))


def test_a_storage_that_is_none_is_told_before_anything_else(tmp_path):
    for address in ("nowhere/relative", "what://is/this"):
        with pytest.raises(SearchError, match=f"storage '{address}' cannot be used"):
            CheckpointStorage(address, tmp_path).check()


def test_all_files_of_a_job_are_moved(job):
    moved = job.moved(lambda path: Path("/else") / path.name)
    assert {p.parent for p in (moved.weights, moved.start, moved.teacher, moved.state)} == {
        Path("/else")
    }
