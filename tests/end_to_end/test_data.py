"""The user's own images: looked at, packed, several folders, gray ones."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from lightir_core.checkpoints import load_model
from results.models import load_results
from tests.end_to_end.conftest import QUICK


def test_check_shows_what_is_there(in_process, three_photographs):
    ended = in_process("data", "check", three_photographs, "--task", "denoise")
    assert ended.status == 0
    rows = dict(line.strip().split("  ", 1) for line in ended.out.splitlines() if "  " in line)
    assert {name: text.strip() for name, text in rows.items()} == {
        "folder": str(three_photographs),
        "task": "denoise:25",
        "layout": "clean images",
        "usable images": "3",
        "smallest": "96x96",
        "largest": "96x96",
        "files": "3 PNG RGB",
        "in memory": "0 MiB",
        "problems": "0",
    }


def test_check_names_what_is_wrong_and_ends_with_1_when_nothing_is_left(in_process, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text("this is no image")
    ended = in_process("data", "check", tmp_path / "images")
    assert ended.status == 1
    assert "problem: a.png: skipped, not a PNG, JPEG" in ended.out
    found = json.loads(in_process("data", "check", tmp_path / "images", "--json").out)
    assert (found["images"], len(found["problems"])) == (0, 1)


def test_check_reports_pixels_equal_to_matlabs_bicubic(in_process, tmp_path, photograph):
    for name in ("HR", "LR"):
        (tmp_path / "set" / name).mkdir(parents=True)
    image = Image.fromarray(photograph())
    image.save(tmp_path / "set/HR/a.png")
    image.resize((48, 48), Image.Resampling.BICUBIC).save(tmp_path / "set/LR/a.png")
    ended = in_process("data", "check", tmp_path / "set", "--task", "sr-x2")
    share = re.search(r"equal to degraded here +([\d.]+)% of pixels", ended.out)
    assert 20 < float(share[1]) < 99  # Pillow's bicubic is not MATLAB's


@pytest.mark.slow
def test_a_run_on_a_pack_is_the_run_on_its_folder(in_process, three_photographs, tmp_path):
    packed = in_process(
        "data", "pack", three_photographs, "--out", "photos.pack", "--task", "sr-x2", cwd=tmp_path
    )
    assert packed.status == 0, packed.err
    assert re.fullmatch(
        r"photos.pack: 3 images, 0\.1 MiB, for task sr-x2\nchecksum: [0-9a-f]{64}\n", packed.out
    )
    for name, data in (("folder", three_photographs), ("pack", "photos.pack")):
        ended = in_process(
            "run", *QUICK, "--trials", "1", "--data", data, "--out", name, cwd=tmp_path
        )
        assert ended.status == 0, ended.err
    scores = [[m.scores for m in load_results(tmp_path / name)] for name in ("folder", "pack")]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_several_folders_with_weights(in_process, three_photographs, tmp_path, photograph):
    (tmp_path / "more").mkdir()
    Image.fromarray(photograph(5)).save(tmp_path / "more" / "a.png")
    ended = in_process(
        "run", *QUICK, "--trials", "1", "--data", f"{three_photographs}:2", "--data", "more",
        "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    facts = json.loads((tmp_path / "run" / "config.json").read_text())
    assert facts["config"]["data"] == [f"{three_photographs}:2.0", str(tmp_path / "more")]
    used = {*facts["data"]["training"], *facts["data"]["validation"]}
    label = three_photographs.name
    assert used == {"more/a.png", *(f"{label}/crop{number}.png" for number in range(3))}


@pytest.mark.slow
def test_gray_networks_from_colour_images(in_process, three_photographs, tmp_path):
    ended = in_process(
        "run", *QUICK, "--trials", "1", "--channels", "1", "--task", "denoise:15-50",
        "--data", three_photographs, "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert "note: images are read as gray: 0.299 R + 0.587 G + 0.114 B" in ended.err
    model = tmp_path / "run" / "models" / load_results(tmp_path / "run")[0].id
    assert load_model(model).architecture.in_channels == 1
    told = in_process(
        "evaluate", model, "--task", "denoise:15-50", "--data", three_photographs, "--json"
    )
    assert set(json.loads(told.out)["mean"]) == {"psnr_gray", "ssim_gray"}
    restored = in_process("restore", model, three_photographs / "crop0.png", "gray.png")
    assert restored.status == 0, restored.err
    assert "images are read as gray" in restored.err
    assert np.asarray(Image.open(tmp_path / "gray.png")).shape == (96, 96)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["sr-x2", "jpeg:10-40", "derain", "desnow"])
def test_other_tasks_do_the_whole_job_in_gray(in_process, three_photographs, tmp_path, task):
    ended = in_process(
        "run", *QUICK, "--trials", "1", "--channels", "1", "--task", task,
        "--data", three_photographs, "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    assert [model.kind for model in load_results(tmp_path / "run")] == ["trained", "pruned"]
