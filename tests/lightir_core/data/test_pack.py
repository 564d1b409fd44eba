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

from lightir_core.data import images
from lightir_core.data.datasets import open_data, training_set
from lightir_core.data.folders import Folder
from lightir_core.data.images import write_image
from lightir_core.data.pack import checksum, is_pack, packed_checksum, read_pack, write_pack
from lightir_core.data.sources import read_folder
from lightir_core.data.tasks import TASKS
from lightir_core.errors import DataError

SR2, DERAIN = TASKS["sr-x2"], TASKS["derain"]
START = 32


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
    pixels = 3 * 24 * 20
    assert 3 * pixels < (tmp_path / "data.pack").stat().st_size < 4 * pixels


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
    for length in (20, START, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"data\.pack: (the pack is damaged|not a packed)"):
            read_pack(SR2, path)


def rewrite(path, change):
    whole = path.read_bytes()
    offset, _ = struct.unpack("<QQ", whole[16:START])
    header = json.loads(whole[offset:])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(
        whole[:16] + struct.pack("<QQ", offset, len(text)) + whole[START:offset] + text
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda h: h["entries"][0]["gt"].update(height=10**9), "does not fit its images"),
        (lambda h: h["entries"][0]["gt"].update(offset=0), "header is damaged"),
        (lambda h: h["entries"][0]["gt"].update(width=0), "header is damaged"),
        (lambda h: h["entries"][0]["gt"].update(width=2.5), "header is damaged"),
        (lambda h: h["entries"][0]["gt"].update(height=18), r"a\.png does not fit task sr-x2"),
        (lambda h: h["entries"][0].update(lq=None), "does not fit its images"),
        (lambda h: h["entries"].clear(), "does not fit its images"),
        (lambda h: h.update(kind=None), "does not fit its images"),
        (lambda h: h.update(surprise=1), "header is damaged"),
        (lambda h: h.pop("notes"), "header is damaged"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, folder, change, reason):
    path = tmp_path / "data.pack"
    write_pack(SR2, folder, path)
    rewrite(path, change)
    with pytest.raises(DataError, match=reason):
        read_pack(SR2, path)


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
        file.seek(START + 100)
        old = file.read(1)
        file.seek(START + 100)
        file.write(bytes([old[0] ^ 1]))
    assert checksum(pack) != packed_checksum(pack)
