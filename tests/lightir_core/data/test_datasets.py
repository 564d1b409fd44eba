import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightir_core.data.datasets import (
    TrainingSet,
    make_pairs,
    open_data,
    training_set,
    validation_set,
)
from lightir_core.data.images import to_pixels, to_tensor
from lightir_core.data.metrics import METRICS, psnr_rgb, psnr_y
from lightir_core.data.sources import Folder, Item, Source
from lightir_core.data.tasks import TASKS, parse_task
from lightir_core.errors import DataError

SR2 = TASKS["sr-x2"]


@pytest.fixture(scope="module")
def embedded() -> dict[str, TrainingSet]:
    return {name: training_set(task, None) for name, task in TASKS.items()}


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_has_the_tasks_shapes_and_range(embedded, name):
    scale = TASKS[name].scale
    lq, gt = embedded[name].batch(seed=0, step=0, batch=3, patch_px=16)
    assert lq.shape == (3, 3, 16, 16)
    assert gt.shape == (3, 3, 16 * scale, 16 * scale)
    assert lq.dtype == gt.dtype == torch.float32
    assert 0 <= min(lq.min(), gt.min()) <= max(lq.max(), gt.max()) <= 1


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**40), step=st.integers(0, 10**7), patch_px=st.integers(1, 24))
def test_a_batch_is_a_function_of_seed_and_step(embedded, name, seed, step, patch_px):
    first = embedded[name].batch(seed, step, 2, patch_px)
    embedded[name].batch(seed, step + 1, 3, patch_px)
    again = embedded[name].batch(seed, step, 2, patch_px)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


def test_torchs_and_numpys_own_generators_are_left_alone(embedded):
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    embedded["derain"].batch(0, 0, 2, 16)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])


def test_other_seeds_and_steps_give_other_patches(embedded):
    batches = [embedded["sr-x2"].batch(*at, 4, 16)[0] for at in ((0, 0), (0, 1), (1, 0))]
    assert not any(torch.equal(batches[i], batches[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_two_halves_of_a_patch_show_the_same_place(embedded, scale):
    # aligned and turned alike, the low-quality patch is the clean one averaged, but for the kernel
    lq, gt = embedded[f"sr-x{scale}"].batch(0, 0, 32, 24)
    mean = torch.nn.functional.avg_pool2d(gt, scale)
    assert (mean - lq).abs().mean(dim=(1, 2, 3)).max() < 0.05
    assert (mean.flip(3) - lq).abs().mean() > 3 * (mean - lq).abs().mean()


def counting_source(height=6, width=6):
    """Every pixel has its own value."""
    gt = torch.arange(height * width, dtype=torch.uint8).view(1, height, width).repeat(3, 1, 1)
    return Source((Item("a", "a", gt, gt.clone()),))


def test_all_eight_turns_and_all_corners_occur():
    data = TrainingSet(TASKS["derain"], counting_source())
    _, gt = data.batch(seed=0, step=0, batch=3000, patch_px=5)
    patches = {tuple((patch[0] * 255).round().int().flatten().tolist()) for patch in gt}
    assert len(patches) == 8 * 4  # 2 x 2 corners


def test_pairs_are_turned_together():
    lq, gt = TrainingSet(TASKS["derain"], counting_source()).batch(0, 0, 200, 4)
    assert torch.equal(lq, gt)


def test_a_mosaics_pattern_begins_at_every_patchs_corner(embedded):
    lq, gt = embedded["demosaic"].batch(3, 5, 16, 15)
    assert torch.equal(lq[:, 0, 0::2, 0::2], gt[:, 0, 0::2, 0::2])
    assert not lq[:, 0, 1::2].any()
    assert torch.equal(lq[:, 2, 1::2, 1::2], gt[:, 2, 1::2, 1::2])
    assert not lq[:, 2, :, 0::2].any()


def test_images_are_drawn_by_the_patches_they_hold():
    small, large = torch.zeros(2, 3, 1, 1, dtype=torch.uint8)
    items = (
        Item("small", "small", small.repeat(1, 10, 10), None),
        Item("large", "large", (large + 255).repeat(1, 10, 37), None),
        Item("tiny", "tiny", (small + 9).repeat(1, 7, 99), None),
    )
    data = TrainingSet(parse_task("denoise:0"), Source(items))
    _, gt = data.batch(0, 0, 2000, 8)
    # 3 * 3 corners against 3 * 30; 8 px do not fit into 7
    assert gt[:, 0, 0, 0].mean().item() == pytest.approx(30 / 33, abs=0.02)


def test_a_patch_larger_than_every_image_is_refused():
    data = TrainingSet(SR2, counting_source(6, 10))
    with pytest.raises(DataError, match=r"patch of 6x6 px .*the largest is 5x3"):
        data.batch(0, 0, 1, 6)


def test_validation_is_the_same_at_every_call_and_changes_with_the_seed():
    first, again, other = (validation_set(TASKS["denoise"], None, seed=s) for s in (0, 0, 1))
    assert all(torch.equal(a.lq, b.lq) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a.lq, b.lq) for a, b in zip(first, other, strict=True))


def test_an_images_noise_does_not_depend_on_its_neighbours():
    item = counting_source(20, 20).items[0]
    items = tuple(Item(name, name, item.gt, None) for name in "ab")
    alone = make_pairs(TASKS["denoise"], Source(items[1:]))
    among = make_pairs(TASKS["denoise"], Source(items))
    assert torch.equal(alone[0].lq, among[1].lq)
    assert not torch.equal(among[0].lq, among[1].lq)


@pytest.mark.parametrize("name", TASKS)
def test_crops_are_centred_squares_of_the_low_quality_image(name):
    task = TASKS[name]
    whole = validation_set(task, None)
    crops = validation_set(task, None, crop_px=40)
    for full, crop in zip(whole, crops, strict=True):
        assert crop.lq.shape == (3, 40, 40)
        assert crop.gt.shape == (3, 40 * task.scale, 40 * task.scale)
        height, width = full.lq.shape[1:]
        top, left = ((height - 40) // 2) & ~1, ((width - 40) // 2) & ~1
        s = task.scale
        inside = full.gt[:, top * s : (top + 40) * s, left * s : (left + 40) * s]
        assert torch.equal(crop.gt, inside)
        if task.degrades_whole or name == "demosaic":
            assert torch.equal(crop.lq, full.lq[:, top : top + 40, left : left + 40])


def test_a_crop_larger_than_the_image_takes_it_whole():
    [pair] = make_pairs(SR2, Source(counting_source(6, 6).items), crop_px=99)
    assert pair.gt.shape == (3, 6, 6)


def test_every_reported_score_can_be_taken_of_every_validation_image():
    for task in TASKS.values():
        for pair in validation_set(task, None, crop_px=24):
            enlarged = to_tensor(task.baseline(to_pixels(pair.lq)))[None]
            for metric in task.metrics:
                METRICS[metric](enlarged, pair.gt[None], border_px=task.border_px)


def write_many(draw_image, folder, count=12, size=(40, 36)):
    for index in range(count):
        draw_image(folder / f"{index:02}.png", size)
    return folder


def names(source):
    return {item.name for item in source.items}


def test_a_tenth_of_the_data_is_held_out_when_nothing_else_is_given(tmp_path, draw_image):
    data = open_data(SR2, (Folder(write_many(draw_image, tmp_path)),), None)
    assert len(data.validation) == 1
    assert len(data.training.source) == 11
    assert not names(data.validation) & names(data.training.source)
    assert "1 of 12 images held out for validation" in data.notes
    again = open_data(SR2, (Folder(tmp_path),), None)
    assert names(again.validation) == names(data.validation)
    assert len(data.pairs(crop_px=12)) == 1


def test_a_data_sets_own_validation_part_is_used(tmp_path, draw_image):
    write_many(draw_image, tmp_path / "train/rainy", 3)
    write_many(draw_image, tmp_path / "train/norain", 3)
    write_many(draw_image, tmp_path / "test/rainy", 2)
    write_many(draw_image, tmp_path / "test/norain", 2)
    data = open_data(TASKS["derain"], (Folder(tmp_path),), None)
    assert len(data.training.source) == 3
    assert len(data.validation) == 2
    assert data.notes[0].startswith("recognised train and test in ")
    assert len(training_set(TASKS["derain"], tmp_path).source) == 3
    assert len(validation_set(TASKS["derain"], tmp_path)) == 2


def test_explicit_folders_are_taken_as_they_are(tmp_path, draw_image):
    train = write_many(draw_image, tmp_path / "a", 3)
    val = write_many(draw_image, tmp_path / "b", 2)
    data = open_data(SR2, (Folder(train),), val)
    assert (len(data.training.source), len(data.validation)) == (3, 2)
    with pytest.raises(DataError, match="are the same folder"):
        open_data(SR2, (Folder(train),), tmp_path / "b" / ".." / "a")


def test_without_data_the_embedded_photographs_are_used(tmp_path, draw_image):
    data = open_data(SR2, (), None)
    assert (len(data.training.source), len(data.validation)) == (5, 3)
    val = write_many(draw_image, tmp_path, 2)
    assert names(open_data(SR2, (), val).validation) == {"00.png", "01.png"}


def test_a_single_image_asks_for_others_to_validate_on(tmp_path, draw_image):
    write_many(draw_image, tmp_path, 1)
    with pytest.raises(DataError, match="only one image"):
        open_data(SR2, (Folder(tmp_path),), None)


def test_images_too_small_to_train_or_score_on_are_named(tmp_path, draw_image):
    write_many(draw_image, tmp_path / "train", 3)
    draw_image(tmp_path / "train/small.png", (30, 90))
    draw_image(tmp_path / "val/large.png", (16, 17))
    draw_image(tmp_path / "val/small.png", (14, 15))  # 11 for SSIM and a border of 2 on each side
    data = open_data(SR2, (Folder(tmp_path / "train"),), tmp_path / "val", patch_px=16)
    assert names(data.training.source) == {"00.png", "01.png", "02.png"}
    assert "small.png: skipped, 15x45 px; a patch takes 16x16" in data.notes
    assert "validation: small.png: skipped, 7x7 px; scoring takes 8x8" in data.notes
    with pytest.raises(DataError, match="every image is too small"):
        training_set(SR2, tmp_path / "train", patch_px=64)


def test_a_file_that_is_no_pack_is_refused(tmp_path, draw_image):
    draw_image(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: this file is no packed data set"):
        training_set(SR2, tmp_path / "a.png")


def test_rainy_inputs_of_the_benchmark_have_the_known_scores(shared):
    # README of the research images: Rain100L val 24.45 dB (PSNR-Y), 23.09 dB (PSNR-RGB)
    light = validation_set(TASKS["derain"], shared / "derain/Rain100L")
    scores = [psnr_y(pair.lq[None], pair.gt[None]) for pair in light]
    assert len(scores) == 8
    assert np.mean(scores) == pytest.approx(24.45, abs=0.005)
    colour = [psnr_rgb(pair.lq[None], pair.gt[None]) for pair in light]
    assert np.mean(colour) == pytest.approx(23.09, abs=0.005)


def test_heavy_rain_has_the_known_scores(shared, tmp_path):
    # the same README: 13.90 dB (PSNR-Y), 12.51 dB (PSNR-RGB); the truths are Rain100L's
    (tmp_path / "rainy").symlink_to(shared / "derain/Rain100H/val/rainy")
    (tmp_path / "clean").symlink_to(shared / "derain/Rain100L/val/clean")
    heavy = validation_set(TASKS["derain"], tmp_path)
    assert len(heavy) == 8
    for metric, expected in ((psnr_y, 13.90), (psnr_rgb, 12.51)):
        scores = [metric(pair.lq[None], pair.gt[None]) for pair in heavy]
        assert np.mean(scores) == pytest.approx(expected, abs=0.005)
