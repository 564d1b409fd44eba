import numpy as np
import PIL.Image
import pytest

from lightir_core.data import images
from lightir_core.data.check import check
from lightir_core.data.images import write_image
from lightir_core.data.pack import write_pack
from lightir_core.data.tasks import TASKS

SR2, DERAIN = TASKS["sr-x2"], TASKS["derain"]


def test_a_healthy_folder_is_described(tmp_path, draw_image):
    draw_image(tmp_path / "a.png", (24, 20))
    draw_image(tmp_path / "b.jpg", (16, 40))
    found = check(tmp_path, SR2)
    assert found.is_usable
    assert found.problems == ()
    assert (found.images, found.smallest, found.largest) == (2, (16, 40), (16, 40))
    assert found.modes == {"PNG RGB": 1, "JPEG RGB": 1}
    # clean and low-quality images, 3 bytes a pixel
    assert found.decoded_bytes == 3 * (24 * 20 + 16 * 40) * 5 // 4
    rows = dict(found.rows())
    assert rows["layout"] == "clean images"
    assert rows["largest"] == "16x40"
    assert rows["files"] == "1 JPEG RGB, 1 PNG RGB"


def test_skipped_files_and_duplicates_are_problems(tmp_path, draw_image):
    draw_image(tmp_path / "a.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "text.png").write_text("no image")
    PIL.Image.new("L", (30, 30)).save(tmp_path / "grey.png")
    found = check(tmp_path, DERAIN)
    assert found.images == 3
    assert found.modes == {"PNG RGB": 2, "PNG L": 1, "unreadable": 1}
    assert found.problems == (
        "text.png: skipped, not a PNG, JPEG, WebP, TIFF or BMP image",
        "copy.png: the same picture as a.png",
    )
    assert "grey.png: grey repeated in three channels" in found.notes


def test_what_a_training_would_refuse_is_a_problem(tmp_path, draw_image):
    draw_image(tmp_path / "lq/a.png", (24, 20))
    draw_image(tmp_path / "gt/a.png", (24, 22))
    found = check(tmp_path, DERAIN)
    assert not found.is_usable
    assert "lq/a.png is 24x20 px and gt/a.png is 24x22 px" in found.problems[0]
    assert dict(found.rows())["smallest"] == "-"


def test_a_missing_or_empty_folder_is_a_problem(tmp_path):
    assert check(tmp_path / "missing", SR2).problems[0].endswith("there is no such folder")
    assert check(tmp_path, SR2).problems == (f"{tmp_path}: no image in this folder",)


def test_the_training_part_of_a_data_set_is_looked_at(tmp_path, draw_image):
    for name in ("train/rainy/a.png", "train/norain/a.png", "val/rainy/b.png", "val/norain/b.png"):
        draw_image(tmp_path / name)
    found = check(tmp_path, DERAIN)
    assert (found.layout, found.images) == ("pairs", 1)
    assert found.path == str(tmp_path / "train")


def test_several_kinds_of_rain_on_a_background_are_no_duplicates(tmp_path, draw_image):
    for name in ("rainy_image/1_1.png", "rainy_image/1_2.png", "ground_truth/1.png"):
        draw_image(tmp_path / name)
    assert check(tmp_path, DERAIN).problems == ()


def test_a_pack_is_described_too(tmp_path, draw_image):
    draw_image(tmp_path / "images/a.png")
    write_pack(SR2, tmp_path / "images", tmp_path / "data.pack")
    found = check(tmp_path / "data.pack", SR2)
    assert (found.layout, found.images, found.problems) == ("pack", 1, ())
    assert not check(tmp_path / "data.pack", DERAIN).is_usable


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_official_low_resolution_is_all_equal_to_ours(shared, scale):
    found = check(shared / "sr/Set5", TASKS[f"sr-x{scale}"])
    assert (found.layout, found.images, found.equal_share) == ("pairs", 5, 1.0)
    assert dict(found.rows())["equal to degraded here"] == "100.0000% of pixels"


def test_other_low_resolution_is_told_apart(tmp_path, draw_image):
    pixels = draw_image(tmp_path / "HR/a.png", (24, 20))
    made = SR2.degrade(pixels, np.random.default_rng(0))
    made[0, :3] ^= 1
    write_image(tmp_path / "LR/a.png", made)
    assert check(tmp_path, SR2).equal_share == 1 - 3 / (12 * 10)
    assert check(tmp_path / "HR", SR2).equal_share is None


def test_a_folder_that_must_be_packed_is_told(tmp_path, draw_image, monkeypatch):
    draw_image(tmp_path / "images/a.png")
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 100)
    assert "pack them into one file" in check(tmp_path / "images", DERAIN).problems[0]
    write_pack(DERAIN, tmp_path / "images", tmp_path / "data.pack")
    assert check(tmp_path / "data.pack", DERAIN).problems == ()


def test_a_pack_that_was_copied_badly_is_a_problem(tmp_path, draw_image):
    draw_image(tmp_path / "images/a.png", (64, 48))
    pack = tmp_path / "data.pack"
    write_pack(SR2, tmp_path / "images", pack)
    with pack.open("r+b") as file:
        file.seek(-100, 2)
        file.write(b"\x00\xff\x00\xff")
    (problem,) = check(pack, SR2).problems
    assert "not those that were packed (checksum)" in problem
