import pytest

from lightir_core.data.sources import child, find_layout, find_split
from lightir_core.errors import DataError


def place(draw_image, folder, *names):
    for name in names:
        draw_image(folder / name)


def names_of(layout):
    pairs = zip(layout.lq, layout.gt, strict=True)
    return [tuple(path.relative_to(layout.folder).as_posix() for path in pair) for pair in pairs]


@pytest.mark.parametrize(
    ("lq", "gt"),
    [
        ("lq/a.png", "gt/a.png"),
        ("input/a.png", "target/a.png"),
        ("rainy/a.png", "clean/a.jpg"),
        ("rain/rain-1.png", "norain/norain-1.png"),  # Rain100L, Rain100H
        ("rainy_image/901_3.jpg", "ground_truth/901.jpg"),  # Rain1400
        ("synthetic/beautiful_smile_1.jpg", "gt/beautiful_smile_1.jpg"),  # Snow100K
        ("Snow/1.tif", "Gt/1.tif"),  # CSD
        ("lq/deep/1.png", "gt/deep/1.png"),
        ("rainy/rain-001.png", "norain-001.png"),  # Rain100L as first published
        ("rain-1.png", "norain-1.png"),
    ],
)
def test_the_usual_pairs_are_recognised(tmp_path, draw_image, lq, gt):
    place(draw_image, tmp_path, lq, gt)
    layout = find_layout(tmp_path, scale=1)
    assert names_of(layout) == [(lq, gt)]
    assert layout.kind == "pairs"
    assert "recognised" in layout.notes[0]


@pytest.mark.parametrize(
    ("scale", "lq"),
    [
        (2, "LR_bicubic/X2/ax2.png"),
        (3, "LR_bicubic/X3/ax3.png"),
        (4, "LR/x4/a.png"),
        (2, "lr/a.png"),
    ],
)
def test_shrunk_images_are_found_beside_hr_by_the_scale(tmp_path, draw_image, scale, lq):
    place(draw_image, tmp_path, "HR/a.png", lq, "LR_bicubic/X8/ax8.png")
    assert names_of(find_layout(tmp_path, scale)) == [(lq, "HR/a.png")]


@pytest.mark.parametrize("name", ["DIV2K_train", "Flickr2K"])
def test_div2ks_own_low_resolution_is_not_taken_for_clean_images(tmp_path, draw_image, name):
    place(draw_image, tmp_path, f"{name}_HR/1.png", f"{name}_LR_bicubic/X2/1x2.png")
    assert names_of(find_layout(tmp_path, 2)) == [
        (f"{name}_LR_bicubic/X2/1x2.png", f"{name}_HR/1.png")
    ]
    assert [path.name for path in find_layout(tmp_path, 1).gt] == ["1.png"]


@pytest.mark.parametrize("scale", [1, 3])
def test_hr_without_its_scale_is_a_folder_of_clean_images(tmp_path, draw_image, scale):
    place(draw_image, tmp_path, "HR/a.png", "LR_bicubic/X2/ax2.png")
    layout = find_layout(tmp_path, scale)
    assert [path.name for path in layout.gt] == ["a.png"]
    assert layout.kind == "clean images"
    assert "its neighbours are not read" in layout.notes[0]


def test_several_kinds_of_rain_share_a_background(tmp_path, draw_image):
    place(
        draw_image, tmp_path, "rainy_image/1_1.png", "rainy_image/1_2.png", "rainy_image/11_1.png"
    )
    place(draw_image, tmp_path, "ground_truth/1.png", "ground_truth/11.png")
    assert set(names_of(find_layout(tmp_path, 1))) == {
        ("rainy_image/1_1.png", "ground_truth/1.png"),
        ("rainy_image/1_2.png", "ground_truth/1.png"),
        ("rainy_image/11_1.png", "ground_truth/11.png"),
    }


def test_equal_names_in_different_folders_are_not_mixed_up(tmp_path, draw_image):
    place(draw_image, tmp_path, "lq/a/1.png", "lq/b/1.png", "gt/a/1.png", "gt/b/1.png")
    pairs = [("lq/a/1.png", "gt/a/1.png"), ("lq/b/1.png", "gt/b/1.png")]
    assert names_of(find_layout(tmp_path, 1)) == pairs


def test_an_exact_name_goes_before_a_reduced_one(tmp_path, draw_image):
    place(draw_image, tmp_path, "lq/1_2.png", "gt/1.png", "gt/1_2.png")
    layout = find_layout(tmp_path, 1)
    assert names_of(layout) == [("lq/1_2.png", "gt/1_2.png")]
    assert layout.notes[1:] == ("gt/1.png: skipped, no partner",)


def test_pairs_without_a_common_name_are_refused_with_an_example(tmp_path, draw_image):
    place(draw_image, tmp_path, "lq/a.png", "gt/b.png")
    with pytest.raises(DataError, match=r"no name occurs in both, such as a\.png, such as b\.png"):
        find_layout(tmp_path, 1)
    (tmp_path / "gt/b.png").unlink()
    with pytest.raises(DataError, match="one of them holds no image"):
        find_layout(tmp_path, 1)


@pytest.mark.parametrize("folder", ["Rain800", "rain/training", "rain/test_syn"])
def test_rain800_holds_both_images_in_one_file(tmp_path, draw_image, folder):
    place(draw_image, tmp_path, f"{folder}/1.jpg")
    for other in ("training", "test_syn"):
        (tmp_path / "rain" / other).mkdir(parents=True, exist_ok=True)
    layout = find_layout(tmp_path / folder, 1)
    assert layout.side_by_side
    assert layout.kind == "pairs side by side"
    assert "left clean, right rainy" in layout.notes[0]


def test_anything_else_is_clean_images_at_any_depth(tmp_path, draw_image):
    place(draw_image, tmp_path, "a.png", "b/c/d.png", "rainbow.png")
    layout = find_layout(tmp_path, 1)
    assert layout.kind == "clean images"
    assert len(layout.gt) == 3
    assert layout.notes == ()


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train", "val"),
        ("Train", "TEST"),
        ("DIV2K_train_HR", "DIV2K_valid_HR"),
        ("training", "test_syn"),
    ],
)
def test_a_data_set_with_its_own_validation_part_is_recognised(tmp_path, train, val):
    for name in (train, val):
        (tmp_path / name).mkdir()
    assert find_split(tmp_path) == (tmp_path / train, tmp_path / val)
    (tmp_path / val).rmdir()
    assert find_split(tmp_path) is None


def test_sub_folders_are_found_in_any_case(tmp_path):
    (tmp_path / "LR_bicubic/X2").mkdir(parents=True)
    assert child(tmp_path, "lr_bicubic/x2") == tmp_path / "LR_bicubic/X2"
    assert child(tmp_path, "lr_bicubic/x3") is None
    assert child(tmp_path / "missing", "x") is None


def test_the_research_images_are_recognised(shared):
    set5 = find_layout(shared / "sr/Set5", 3)
    assert (set5.lq[0].name, set5.gt[0].name) == ("babyx3.png", "baby.png")
    train, val = find_split(shared / "derain/Rain100L") or ()
    assert (len(find_layout(train, 1).lq), len(find_layout(val, 1).lq)) == (58, 8)
