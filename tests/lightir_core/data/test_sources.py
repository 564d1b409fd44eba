import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightir_core.data import images
from lightir_core.data.degrade import imresize
from lightir_core.data.images import to_pixels
from lightir_core.data.sources import Item, Source, from_gallery, keep_large, read_folder, split
from lightir_core.data.tasks import TASKS
from lightir_core.errors import DataError

SR2, DERAIN = TASKS["sr-x2"], TASKS["derain"]


def names(source):
    return [item.name for item in source.items]


def test_clean_images_are_shrunk_whole_and_cut_to_the_scale(tmp_path, draw_image):
    pixels = draw_image(tmp_path / "a.png", (25, 21))
    [item] = read_folder(SR2, tmp_path).items
    assert np.array_equal(to_pixels(item.gt), pixels[:20, :24])
    assert item.lq is not None
    assert np.array_equal(to_pixels(item.lq), imresize(pixels[:20, :24], 1 / 2))


def test_random_degradations_wait_for_their_use(tmp_path, draw_image):
    draw_image(tmp_path / "a.png")
    assert read_folder(DERAIN, tmp_path).items[0].lq is None


def test_notes_tell_what_was_converted_or_skipped(tmp_path, draw_image):
    draw_image(tmp_path / "good.png")
    PIL.Image.new("RGBA", (9, 9)).save(tmp_path / "alpha.png")
    (tmp_path / "text.png").write_text("no image")
    PIL.Image.new("RGB", (1, 9)).save(tmp_path / "thin.png")
    source = read_folder(SR2, tmp_path)
    assert names(source) == ["alpha.png", "good.png"]
    assert source.notes == (
        "alpha.png: alpha dropped",
        "text.png: skipped, not a PNG, JPEG, WebP, TIFF or BMP image",
        "thin.png: skipped, 1x9 px is too small for x2",
    )


def test_pairs_are_read_as_they_are(tmp_path, draw_image):
    lq, gt = (draw_image(tmp_path / name / "a.png") for name in ("rainy", "norain"))
    [item] = read_folder(DERAIN, tmp_path).items
    assert item.lq is not None
    assert (to_pixels(item.lq) == lq).all()
    assert (to_pixels(item.gt) == gt).all()
    assert (item.name, item.scene) == ("rainy/a.png", "norain/a.png")


def test_a_truth_that_the_scale_does_not_divide_is_cut(tmp_path, draw_image):
    draw_image(tmp_path / "LR/a.png", (12, 10))
    gt = draw_image(tmp_path / "HR/a.png", (25, 21))
    assert np.array_equal(to_pixels(read_folder(SR2, tmp_path).items[0].gt), gt[:20, :24])


@pytest.mark.parametrize(
    ("task", "lq_size", "expected"),
    [
        ("derain", (24, 19), "the same size"),
        ("sr-x2", (24, 20), "1/2 of it"),
        ("sr-x4", (12, 10), "1/4"),
    ],
)
def test_pairs_whose_sizes_do_not_fit_are_both_named(tmp_path, draw_image, task, lq_size, expected):
    draw_image(tmp_path / "lq/a.png", lq_size)
    draw_image(tmp_path / "gt/a.png", (24, 20))
    message = rf"lq/a\.png is {lq_size[0]}x{lq_size[1]} px and gt/a\.png is 24x20 px.*{expected}"
    with pytest.raises(DataError, match=message):
        read_folder(TASKS[task], tmp_path)


def test_a_shared_truth_is_held_once(tmp_path, draw_image, monkeypatch):
    for name in ("rainy_image/1_1.png", "rainy_image/1_2.png", "ground_truth/1.png"):
        draw_image(tmp_path / name)
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 3 * (24 * 20 * 3))
    first, second = read_folder(DERAIN, tmp_path).items
    assert first.gt is second.gt
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 3 * (24 * 20 * 3) - 1)
    with pytest.raises(DataError, match="search data pack"):
        read_folder(DERAIN, tmp_path)


def test_a_pair_with_an_unreadable_half_is_skipped(tmp_path, draw_image):
    for name in ("lq/a.png", "lq/b.png", "gt/a.png", "gt/b.png"):
        draw_image(tmp_path / name)
    (tmp_path / "gt/b.png").write_bytes(b"")
    source = read_folder(DERAIN, tmp_path)
    assert names(source) == ["lq/a.png"]
    assert any(note.startswith("gt/b.png: skipped") for note in source.notes)


def test_mosaics_are_made_from_the_clean_images_of_pairs(tmp_path, draw_image):
    for name in ("lq/a.png", "gt/a.png"):
        draw_image(tmp_path / name)
    source = read_folder(TASKS["demosaic"], tmp_path)
    assert names(source) == ["gt/a.png"]
    assert source.items[0].lq is None
    assert "degraded images are made from the clean ones" in source.notes[1]


def test_rain800_files_are_split_in_the_middle(tmp_path, draw_image):
    pixels = draw_image(tmp_path / "Rain800/a.png", (30, 20))
    draw_image(tmp_path / "Rain800/odd.png", (31, 20))
    source = read_folder(DERAIN, tmp_path / "Rain800")
    [item] = source.items
    assert item.lq is not None
    assert np.array_equal(to_pixels(item.gt), pixels[:, :15])
    assert np.array_equal(to_pixels(item.lq), pixels[:, 15:])
    assert "odd.png: skipped, its width 31 is not that of two halves" in source.notes


def test_a_folder_with_nothing_usable_is_refused(tmp_path):
    with pytest.raises(DataError, match="no usable image"):
        read_folder(SR2, tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        read_folder(SR2, tmp_path / "missing")


def test_small_images_are_left_out_by_name(tmp_path, draw_image):
    draw_image(tmp_path / "small.png", (40, 30))
    draw_image(tmp_path / "large.png", (40, 32))
    source = keep_large(read_folder(SR2, tmp_path), 16, "a patch")
    assert names(source) == ["large.png"]
    assert source.notes == ("small.png: skipped, 20x15 px; a patch takes 16x16",)
    with pytest.raises(
        DataError, match=r"a patch takes 17x17 low-quality .* is large\.png with 20x16 px"
    ):
        keep_large(source, 17, "a patch")


def scenes(*texts):
    pixel = torch.zeros(3, 1, 1, dtype=torch.uint8)
    return Source(tuple(Item(f"{i}", text, pixel, None) for i, text in enumerate(texts)))


@given(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=2), st.integers(0, 9))
def test_no_scene_is_split_between_training_and_validation(texts, seed):
    source = scenes("A", "B", *texts)
    training, validation = split(source, seed=seed)
    sides = [{item.scene for item in part.items} for part in (training, validation)]
    assert not sides[0] & sides[1]
    assert sides[0]
    assert len(sides[1]) == max(1, round(0.1 * len({"A", "B", *texts})))
    assert len(training) + len(validation) == len(source)
    assert split(source, seed=seed)[1] == validation


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (14, 1), (100, 10), (800, 20)])
def test_a_tenth_is_held_out_but_not_too_many(count, held_out):
    assert len(split(scenes(*map(str, range(count))))[1]) == held_out


def test_other_seeds_hold_out_other_images():
    source = scenes(*"abcdefghij")
    held_out = {split(source, seed=seed)[1].items[0].scene for seed in range(20)}
    assert len(held_out) > 3


def test_one_image_cannot_be_split():
    with pytest.raises(DataError, match=r"only one image \(a\).*--val"):
        split(scenes("a", "a"))


def test_the_official_low_resolution_is_what_clean_images_give(shared, tmp_path):
    set5 = read_folder(SR2, shared / "sr/Set5")
    (tmp_path / "only").symlink_to(shared / "sr/Set5/HR")
    ours = read_folder(SR2, tmp_path)
    for official, item in zip(set5.items, ours.items, strict=True):
        assert official.lq is not None
        assert item.lq is not None
        assert torch.equal(official.lq, item.lq)
        assert torch.equal(official.gt, item.gt)


def test_embedded_photographs_make_a_source(held_out):
    source = from_gallery(SR2, held_out)
    assert names(source) == ["chelsea", "coffee", "rocket"]
    assert source.items[0].gt.shape == (3, 300, 450)
