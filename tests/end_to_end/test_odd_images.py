"""A folder as people have them: what can be used is used, the rest is named."""

import json

import numpy as np
import pytest
from PIL import Image

from results.models import load_results
from results.run_view import read_run
from tests.end_to_end.conftest import QUICK


@pytest.fixture
def odd_folder(tmp_path, photograph):
    folder = tmp_path / "odd images"
    (folder / "deeper").mkdir(parents=True)
    pictures = [Image.fromarray(photograph(number)) for number in range(7)]
    pictures[0].save(folder / "good.png")
    pictures[1].save(folder / "deeper" / "good.jpg", quality=95)
    pictures[2].convert("L").save(folder / "gray.png")
    pictures[3].convert("RGBA").save(folder / "rgba.png")
    pictures[4].convert("CMYK").save(folder / "cmyk.jpg")
    deep = np.asarray(pictures[5].convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "sixteen.png")
    pictures[6].crop((0, 0, 20, 20)).save(folder / "tiny.png")
    (folder / "torn.png").write_bytes((folder / "good.png").read_bytes()[:3000])
    (folder / "words.png").write_text("this is no image")
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("not looked at")
    return folder


NOTES = {
    "gray.png": "grey repeated in three channels",
    "rgba.png": "alpha dropped",
    "cmyk.jpg": "CMYK converted to RGB",
    "sixteen.png": "16 bits scaled to 8",
    "torn.png": "skipped, the image is damaged or not supported",
    "words.png": "skipped, not a PNG, JPEG, WebP, TIFF or BMP image",
    "empty.jpg": "skipped, not a PNG, JPEG, WebP, TIFF or BMP image",
}


@pytest.mark.slow
def test_a_folder_of_odd_images_is_searched_on(in_process, odd_folder, tmp_path):
    before = {path: path.read_bytes() for path in odd_folder.rglob("*") if path.is_file()}
    ended = in_process(
        "run", *QUICK, "--trials", "2", "--data", odd_folder, "--out", "run", cwd=tmp_path
    )
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
    facts = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    for name, note in NOTES.items():
        assert f"note: {name}: {note}" in ended.err
        assert any(text.startswith(f"{name}: {note}") for text in facts["notes"])
    small = "tiny.png: skipped, 10x10 px; a patch of recipe 'proxy' (patch_px=16) takes 16x16"
    assert (small in facts["notes"]) == ("tiny.png" not in facts["validation"])
    used = set(facts["training"]) | set(facts["validation"])
    skipped = {name for name, note in NOTES.items() if note.startswith("skipped")}
    assert used | {"tiny.png"} == (NOTES.keys() - skipped) | {
        "good.png", "deeper/good.jpg", "tiny.png",
    }  # fmt: skip
    assert [model.kind for model in load_results(tmp_path / "run")] == ["trained", "pruned"]
    assert {path: path.read_bytes() for path in before} == before
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "torn.png" in page


@pytest.mark.slow
@pytest.mark.parametrize("task", ["denoise:15-50", "sr-x4", "demosaic", "jpeg:10"])
def test_other_tasks_do_the_whole_job(in_process, three_photographs, tmp_path, task):
    ended = in_process(
        "run", *QUICK, "--trials", "2", "--prune-from", "1", "--task", task,
        "--data", three_photographs, "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert [model.kind for model in load_results(tmp_path / "run")] == ["trained", "pruned"]


@pytest.mark.slow
def test_relative_folders_are_found_from_anywhere(in_process, three_photographs, tmp_path):
    (tmp_path / "photos").symlink_to(three_photographs)
    ended = in_process("run", *QUICK, "--trials", "2", "--data", "photos", cwd=tmp_path)
    assert ended.status == 0, ended.err
    [run] = (tmp_path / "runs").iterdir()
    assert run.name.startswith("sr-x2-10k-")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    models = load_results(run)
    [pruned] = [model for model in models if model.kind == "pruned"]
    (run / "models" / pruned.id / "result.json").unlink()  # as if it had been killed before
    resumed = in_process("resume", run, cwd=elsewhere)
    assert resumed.status == 0, resumed.err
    assert [model.scores for model in load_results(run)] == [model.scores for model in models]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_however_short_the_time_a_network_is_handed_over(in_process, three_photographs, tmp_path):
    ended = in_process(
        "run", *QUICK, "--trials", "2", "--time", "0.001s", "--data", three_photographs,
        "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    view = read_run(tmp_path / "run")
    states = [(trial.state, trial.reason) for trial in view.trials]
    assert sorted(states) == [("failed", "not started: the time was up"), ("finished", None)]
    assert view.best is not None


@pytest.mark.slow
def test_the_embedded_photographs_need_no_folder(in_process, tmp_path):
    """With no more than a budget; and quiet means quiet."""
    ended = in_process("run", *QUICK, "--trials", "2", "--quiet", "--out", "run", cwd=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    facts = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    assert not set(facts["training"]) & set(facts["validation"])
    assert len(facts["licences"]) == len(facts["training"]) + len(facts["validation"])
    assert "bicubic" not in ended.out
    assert "trained" in ended.out
    assert "pruned" in ended.out
