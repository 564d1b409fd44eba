import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from lightir_core.data import images
from lightir_core.data.datasets import open_data, training_set
from lightir_core.data.images import write_image
from lightir_core.data.pack import checksum, is_pack, packed_checksum, read_pack, write_pack
from lightir_core.data.sources import Folder, read_folder
from lightir_core.data.tasks import TASKS
from lightir_core.errors import DataError

SR2, DERAIN = TASKS["sr-x2"], TASKS["derain"]


@pytest.fixture
def folder(tmp_path, draw_image):
    draw_image(tmp_path / "images/a.png", (24, 20))
    draw_image(tmp_path / "images/b.png", (31, 18))
    (tmp_path / "images/c.png").write_text("no image")
    return tmp_path / "images"


def assert_same(ours, theirs):
    assert ours.notes == theirs.notes
    for one, other in zip(ours.items, theirs.items, strict=True):
        assert (one.name, one.scene) == (other.name, other.scene)
        assert torch.equal(one.gt, other.gt)
        assert (one.lq is None) == (other.lq is None)
        assert one.lq is None or torch.equal(one.lq, other.lq)


@pytest.mark.parametrize("name", TASKS)
def test_a_pack_holds_what_the_folder_gives(tmp_path, folder, name):
    task = TASKS[name]
    assert write_pack(task, folder, tmp_path / "new/data.pack") == 2
    assert is_pack(tmp_path / "new/data.pack")
    assert_same(read_pack(task, tmp_path / "new/data.pack"), read_folder(task, folder))


PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from lightir_core.data.images import write_image
from lightir_core.data.pack import read_pack, write_pack
from lightir_core.data import images
from lightir_core.data.datasets import TrainingSet
from lightir_core.data.tasks import TASKS

folder, count = Path(sys.argv[1]), int(sys.argv[2])
task = TASKS["sr-x2"]
one = np.zeros((1200, 1000, 3), np.uint8)
for index in range(count):
    one[:] = index
    write_image(folder / f"images{count}/{index}.bmp", one)
write_pack(task, folder / f"images{count}", folder / f"{count}.pack")
data = TrainingSet(task, read_pack(task, folder / f"{count}.pack"))
data.batch(0, 0, 8, 16)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data_set(tmp_path):
    """Measured in processes of their own: 2 images, then 40 that take 140 MB decoded."""

    def peak_bytes(count):
        command = [sys.executable, "-c", PEAK, str(tmp_path), str(count)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    few, many = peak_bytes(2), peak_bytes(40)
    assert (tmp_path / "40.pack").stat().st_size > 170e6
    assert many - few < 20e6


def test_a_shared_truth_is_packed_once(tmp_path, draw_image):
    for name in ("rainy_image/1_1.png", "rainy_image/1_2.png", "ground_truth/1.png"):
        draw_image(tmp_path / "images" / name)
    write_pack(DERAIN, tmp_path / "images", tmp_path / "data.pack")
    assert len(split_header(tmp_path / "data.pack")[1]) == 3 * (3 * 24 * 20)


def test_packed_clean_images_too_many_to_shrink_in_memory_are_refused(
    tmp_path, folder, monkeypatch
):
    write_pack(DERAIN, folder, tmp_path / "data.pack")
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 500)
    with pytest.raises(DataError, match=r"without low-quality images for sr-x2.*--task sr-x2"):
        read_pack(SR2, tmp_path / "data.pack")
    assert len(read_pack(DERAIN, tmp_path / "data.pack")) == 2


def test_a_place_that_cannot_be_written_to_is_named(tmp_path, folder):
    with pytest.raises(DataError, match=r"cannot write .*a\.png/data\.pack"):
        write_pack(SR2, folder, folder / "a.png" / "data.pack")


def test_pairs_are_packed_as_pairs(tmp_path, draw_image):
    for name in ("rainy_image/1_1.png", "rainy_image/1_2.png", "ground_truth/1.png"):
        draw_image(tmp_path / "images" / name)
    write_pack(DERAIN, tmp_path / "images", tmp_path / "data.pack")
    assert_same(read_pack(DERAIN, tmp_path / "data.pack"), read_folder(DERAIN, tmp_path / "images"))


def test_a_data_sets_training_part_is_packed(tmp_path, draw_image):
    draw_image(tmp_path / "images/train/a.png")
    draw_image(tmp_path / "images/val/b.png")
    write_pack(DERAIN, tmp_path / "images", tmp_path / "data.pack")
    assert [item.name for item in read_pack(DERAIN, tmp_path / "data.pack").items] == ["a.png"]


def test_training_on_a_pack_is_training_on_the_folder(tmp_path, folder):
    write_pack(SR2, folder, tmp_path / "data.pack")
    from_folder, from_pack = (training_set(SR2, path) for path in (folder, tmp_path / "data.pack"))
    for ours, theirs in zip(
        from_pack.batch(1, 2, 8, 6), from_folder.batch(1, 2, 8, 6), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert len(open_data(SR2, (Folder(tmp_path / "data.pack"),), None).validation) == 1


def test_clean_images_packed_for_one_task_serve_every_other(tmp_path, folder):
    write_pack(DERAIN, folder, tmp_path / "data.pack")
    for task in TASKS.values():
        assert_same(read_pack(task, tmp_path / "data.pack"), read_folder(task, folder))


def test_pairs_serve_their_own_task_only(tmp_path, folder):
    write_pack(SR2, folder, tmp_path / "data.pack")
    with pytest.raises(DataError, match=r"packed for task sr-x2, not derain.*--task derain"):
        read_pack(DERAIN, tmp_path / "data.pack")


def test_an_image_smaller_than_the_scale_is_named(tmp_path, draw_image):
    draw_image(tmp_path / "images/a.png", (3, 9))
    write_pack(DERAIN, tmp_path / "images", tmp_path / "data.pack")
    with pytest.raises(DataError, match=r"a\.png does not fit task sr-x4"):
        read_pack(TASKS["sr-x4"], tmp_path / "data.pack")


def test_a_failed_packing_leaves_nothing_behind(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no usable image"):
        write_pack(SR2, tmp_path / "images", tmp_path / "packs/data.pack")
    assert not list((tmp_path / "packs").iterdir())


def test_writing_to_the_tensors_does_not_reach_the_file(tmp_path, folder):
    write_pack(SR2, folder, tmp_path / "data.pack")
    before = (tmp_path / "data.pack").read_bytes()
    read_pack(SR2, tmp_path / "data.pack").items[0].gt.zero_()
    assert (tmp_path / "data.pack").read_bytes() == before


def test_other_files_are_no_packs(tmp_path, folder):
    assert not is_pack(tmp_path)
    assert not is_pack(tmp_path / "missing")
    assert not is_pack(folder / "a.png")
    with pytest.raises(DataError, match="not a packed data set"):
        read_pack(SR2, folder / "a.png")


def test_a_pack_cut_short_is_refused(tmp_path, folder):
    path = tmp_path / "data.pack"
    write_pack(SR2, folder, path)
    whole = path.read_bytes()
    for length in (20, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"data\.pack: (the pack is damaged|not a packed)"):
            read_pack(SR2, path)


def split_header(path):
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    return json.loads(whole[8:end]), whole[end:]


def rewrite(path, change):
    header, pixels = split_header(path)
    contents = json.loads(header["__metadata__"]["lightir_pack"])
    change(contents, header)
    header["__metadata__"] = {"lightir_pack": json.dumps(contents)}
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + pixels)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c, h: h["gt.0"].update(shape=[3, 10**9, 20]), "damaged or cut short"),
        (lambda c, h: h["gt.0"].update(data_offsets=[1, 1441]), "damaged or cut short"),
        (lambda c, h: h["gt.0"].update(shape=[3, 24, 20]), r"a\.png does not fit task sr-x2"),
        (lambda c, h: h["gt.0"].update(shape=[1, 24, 60]), "does not fit its images"),
        (lambda c, h: h["gt.0"].update(dtype="I8"), "does not fit its images"),
        (lambda c, h: c["entries"][0].update(gt="gt.9"), "does not fit its images"),
        (lambda c, h: c["entries"][0].update(gt=7), "header is damaged"),
        (lambda c, h: c["entries"][0].update(lq=None), "does not fit its images"),
        (lambda c, h: c["entries"].clear(), "header is damaged"),
        (lambda c, h: c.update(kind=None), "does not fit its images"),
        (lambda c, h: c.update(surprise=1), "header is damaged"),
        (lambda c, h: c.update(channels=2), "header is damaged"),
        (lambda c, h: c.pop("notes"), "header is damaged"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, folder, change, reason):
    path = tmp_path / "data.pack"
    write_pack(SR2, folder, path)
    rewrite(path, change)
    with pytest.raises(DataError, match=reason):
        read_pack(SR2, path)


def test_a_rewritten_header_that_tells_the_truth_is_read(tmp_path, folder):
    path = tmp_path / "data.pack"
    write_pack(SR2, folder, path)
    rewrite(path, lambda contents, header: None)
    assert_same(read_pack(SR2, path), read_folder(SR2, folder))


def test_any_safetensors_reader_can_open_a_pack(tmp_path, folder):
    write_pack(SR2, folder, tmp_path / "data.pack")
    tensors = load_file(tmp_path / "data.pack")
    items = read_pack(SR2, tmp_path / "data.pack").items
    assert set(tensors) == {"gt.0", "lq.0", "gt.1", "lq.1"}
    for number, item in enumerate(items):
        assert torch.equal(tensors[f"gt.{number}"], item.gt)
        assert torch.equal(tensors[f"lq.{number}"], item.lq)


def test_a_pack_of_the_old_format_is_to_be_packed_again(tmp_path):
    path = tmp_path / "old.pack"
    header = b'{"kind":null,"entries":[],"notes":[]}'
    path.write_bytes(b"LightIR pack 1\n\0" + struct.pack("<QQ", 32, len(header)) + header)
    assert is_pack(path)
    for use in (lambda: training_set(SR2, path), lambda: packed_checksum(path)):
        with pytest.raises(DataError, match=r"old\.pack: packed by an earlier version.*data pack"):
            use()


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), junk=st.binary(min_size=1, max_size=9))
def test_junk_in_a_pack_never_makes_a_traceback(tmp_path_factory, place, junk):
    folder = tmp_path_factory.mktemp("pack")
    write_image(folder / "images/a.png", np.zeros((6, 6, 3), np.uint8))
    path = folder / "data.pack"
    write_pack(SR2, folder / "images", path)
    whole = path.read_bytes()
    at = int(place * len(whole))
    path.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    try:
        source = read_pack(SR2, path)
    except DataError as error:
        message = str(error)
    else:
        message = str(path)
        assert source.items[0].gt.sum() >= 0
    assert str(path) in message


def test_equal_folders_have_equal_checksums(tmp_path, folder, draw_image):
    packs = [tmp_path / f"{number}.pack" for number in range(3)]
    for pack in packs[:2]:
        write_pack(SR2, folder, pack)
    draw_image(folder / "d.png", (20, 20))
    write_pack(SR2, folder, packs[2])
    one, two, other = map(packed_checksum, packs)
    assert one == two != other
    assert [checksum(pack) for pack in packs] == [one, two, other]


def test_a_checksum_is_that_of_all_pixels(tmp_path, folder):
    write_pack(DERAIN, folder, tmp_path / "data.pack")
    items = read_pack(DERAIN, tmp_path / "data.pack").items
    pixels = b"".join(item.gt.numpy().tobytes() for item in items)
    assert packed_checksum(tmp_path / "data.pack") == hashlib.sha256(pixels).hexdigest()


def test_a_changed_pixel_changes_the_checksum(tmp_path, folder):
    pack = tmp_path / "data.pack"
    write_pack(SR2, folder, pack)
    with pack.open("r+b") as file:
        at = 100 + pack.stat().st_size - len(split_header(pack)[1])
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 1]))
    assert checksum(pack) != packed_checksum(pack)
