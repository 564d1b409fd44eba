from pathlib import Path

import pytest
import torch

from lightir_core.data.datasets import TrainingSet, open_data
from lightir_core.data.pack import write_pack
from lightir_core.data.sources import Folder, Item, Source, check_different, join, parse_folder
from lightir_core.data.tasks import TASKS, parse_task
from lightir_core.errors import DataError

SR2, DERAIN = TASKS["sr-x2"], TASKS["derain"]


@pytest.mark.parametrize(
    ("text", "path", "weight"),
    [
        ("photos", "photos", 1),
        ("photos:2", "photos", 2),
        ("a:b/photos:0.25", "a:b/photos", 0.25),
        ("photos:", "photos:", 1),
        ("photos:many", "photos:many", 1),
        (":2", ":2", 1),
    ],
)
def test_a_weight_follows_a_colon(text, path, weight):
    folder = parse_folder(text)
    assert folder == Folder(Path(path), weight)
    assert parse_folder(str(folder)) == folder


def test_a_path_that_exists_is_taken_as_it_is(tmp_path):
    (tmp_path / "photos:2").mkdir()
    assert parse_folder(f"{tmp_path}/photos:2") == Folder(tmp_path / "photos:2")
    assert parse_folder(f"{tmp_path}/photos:2:3") == Folder(tmp_path / "photos:2", 3)


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_a_weight_is_a_positive_number(weight):
    with pytest.raises(DataError, match=f"the weight {weight} is no positive number"):
        parse_folder(f"photos:{weight}")


def test_a_folder_is_given_once(tmp_path):
    check_different([Folder(tmp_path / "a"), Folder(tmp_path / "b")])
    with pytest.raises(DataError, match="given twice"):
        check_different([Folder(tmp_path / "a"), Folder(tmp_path / "b/../a", 2)])


def flat(name, value, side=20):
    return Item(name, name, torch.full((3, side, side), value, dtype=torch.uint8), None)


def test_patches_are_drawn_by_size_times_weight():
    first, second = Source((flat("x", 0),)), Source((flat("x", 255), flat("y", 255)))
    joined = join([first, second], [Folder(Path("a"), 3), Folder(Path("b"))])
    data = TrainingSet(parse_task("denoise:0"), joined)
    _, gt = data.batch(0, 0, 2000, 8)
    assert gt[:, 0, 0, 0].mean().item() == pytest.approx(2 / 5, abs=0.03)


def test_one_folder_of_any_weight_gives_the_same_patches():
    source = Source((flat("x", 3), flat("y", 9, side=30)))
    plain, weighted = (
        TrainingSet(SR2, join([source], [Folder(Path("a"), weight)])) for weight in (1, 2)
    )
    assert torch.equal(plain.batch(0, 1, 8, 4)[1], weighted.batch(0, 1, 8, 4)[1])


def test_names_tell_the_folders_apart_and_notes_too():
    source = Source((flat("x.png", 0),), ("x.png: alpha dropped",))
    folders = [Folder(Path("/p/one/photos")), Folder(Path("/p/two/photos"))]
    joined = join([source, source], folders)
    names = ["one/photos/x.png", "two/photos/x.png"]
    assert [item.name for item in joined.items] == names
    assert [item.scene for item in joined.items] == names
    assert joined.notes == tuple(f"{name}: alpha dropped" for name in names)
    alone = join([source], folders[:1])
    assert (alone.items[0].name, alone.notes) == ("x.png", source.notes)


def test_folders_and_packs_are_trained_on_together(tmp_path, draw_image):
    for index in range(4):
        draw_image(tmp_path / f"clean/{index}.png")
        draw_image(tmp_path / f"pairs/lq/{index}.png")
        draw_image(tmp_path / f"pairs/gt/{index}.png")
    write_pack(DERAIN, tmp_path / "pairs", tmp_path / "pairs.pack")
    folders = (Folder(tmp_path / "clean"), Folder(tmp_path / "pairs.pack", 2))
    data = open_data(DERAIN, folders, None)
    assert len(data.training.source) + len(data.validation) == 8
    assert {item.weight for item in data.training.source.items} == {1, 2}
    lq, gt = data.training.batch(0, 0, 6, 12)
    assert lq.shape == gt.shape == (6, 3, 12, 12)


def test_data_sets_with_a_validation_part_of_their_own_bring_it_along(tmp_path, draw_image):
    for name in ("clean/a.png", "clean/b.png", "rain/train/c.png", "rain/val/d.png"):
        draw_image(tmp_path / name)
    folders = (Folder(tmp_path / "clean"), Folder(tmp_path / "rain"))
    data = open_data(DERAIN, folders, None)
    names = [item.name for item in data.training.source.items]
    assert names == ["clean/a.png", "clean/b.png", "rain/c.png"]
    assert [item.name for item in data.validation.items] == ["d.png"]
