"""Networks of one channel: images are turned gray, degraded and scored as such."""

import numpy as np
import PIL.Image
import pytest
import torch

from lightir_core.data.datasets import training_set, validation_set
from lightir_core.data.images import file_mode, read_image, to_gray, to_pixels, write_image
from lightir_core.data.metrics import METRICS, psnr_gray
from lightir_core.data.pack import read_pack, write_pack
from lightir_core.data.sources import read_folder
from lightir_core.data.tasks import TASKS, for_gray, parse_task, with_channels
from lightir_core.errors import DataError
from lightir_core.learning.evaluate import unit

GRAY = {name: for_gray(task) for name, task in TASKS.items() if name != "demosaic"}


def test_gray_weighs_colours_as_bt_601():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [7, 7, 7]]])
    # 0.299, 0.587, 0.114 of 255: 76.2, 149.7, 29.1
    assert to_gray(colours.astype(np.uint8))[0, :, 0].tolist() == [76, 150, 29, 255, 7]


@pytest.mark.parametrize("name", GRAY)
def test_a_gray_task_keeps_one_channel(name, held_out):
    task = GRAY[name]
    gt = to_gray(held_out.images[0].pixels[:120, :144])
    lq = task.degrade(gt, np.random.default_rng(0))
    assert lq.shape == (120 // task.scale, 144 // task.scale, 1)
    assert lq.dtype == np.uint8
    assert task.baseline(lq).shape == gt.shape
    assert (task.in_channels, task.out_channels) == (1, 1)
    assert parse_task(task.name) == task


def test_names_of_gray_tasks():
    assert with_channels("denoise:15-50", 1) == "denoise:15-50,gray"
    assert with_channels("sr-x2", 3) == "sr-x2"
    assert with_channels("sr-x2,gray", 1) == "sr-x2,gray"
    with pytest.raises(DataError, match="channels=2 is not possible"):
        with_channels("sr-x2", 2)
    with pytest.raises(DataError, match="a gray image has none"):
        parse_task("demosaic,gray")


@pytest.mark.parametrize("name", GRAY)
def test_patches_and_scores_are_of_one_channel(name):
    task = GRAY[name]
    lq, gt = training_set(task, None).batch(0, 0, 3, 16)
    assert (lq.shape[1], gt.shape[1]) == (1, 1)
    for pair in validation_set(task, None, crop_px=24):
        assert pair.lq.shape == (1, 24, 24)
        output = torch.zeros(1, *pair.gt.shape)
        assert all(METRICS[m](output, pair.gt[None]) < 30 for m in task.metrics)


def test_gray_files_and_colour_files_are_read_alike(tmp_path, draw_image):
    colour = draw_image(tmp_path / "colour.png")
    PIL.Image.fromarray(to_gray(colour)[:, :, 0]).save(tmp_path / "gray.png")
    source = read_folder(GRAY["denoise"], tmp_path)
    assert source.notes == ("images are read as gray: 0.299 R + 0.587 G + 0.114 B",)
    assert torch.equal(source.items[0].gt, source.items[1].gt)
    assert np.array_equal(to_pixels(source.items[0].gt), to_gray(colour))


def test_pairs_are_read_in_gray(tmp_path, draw_image):
    for name in ("lq", "gt"):
        draw_image(tmp_path / name / "a.png")
    [item] = read_folder(GRAY["derain"], tmp_path).items
    assert item.lq is not None
    assert item.lq.shape == item.gt.shape == (1, 20, 24)


def test_gray_images_are_written_as_such(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    write_image(tmp_path / "a.png", pixels)
    assert file_mode(tmp_path / "a.png") == "PNG L"
    assert np.array_equal(read_image(tmp_path / "a.png"), pixels.repeat(3, axis=2))


def test_packs_remember_their_channels(tmp_path, draw_image):
    draw_image(tmp_path / "images/a.png")
    for task in (TASKS["sr-x2"], GRAY["sr-x2"]):
        write_pack(task, tmp_path / "images", tmp_path / f"{task.channels}.pack")
        [packed] = read_pack(task, tmp_path / f"{task.channels}.pack").items
        [read] = read_folder(task, tmp_path / "images").items
        assert torch.equal(packed.gt, read.gt)
        assert torch.equal(packed.lq, read.lq)
    with pytest.raises(DataError, match="have 3 channels, sr-x2,gray takes 1; pack them again"):
        read_pack(GRAY["sr-x2"], tmp_path / "3.pack")
    with pytest.raises(DataError, match="have 1 channels, sr-x2 takes 3"):
        read_pack(TASKS["sr-x2"], tmp_path / "1.pack")


def test_noise_of_sigma_25_scores_20_17_db(held_out):
    # unclipped, 20 log10(255 / 25); clipping at black and white takes a little noise away
    pairs = validation_set(parse_task("denoise:25,gray"), None)
    scores = [psnr_gray(unit(pair.lq), pair.gt[None]) for pair in pairs]
    assert np.mean(scores) == pytest.approx(20.17, abs=0.7)
    assert min(scores) > 20.17
