import numpy as np
import pytest
import torch

from lightir_core.data.images import to_gray, to_tensor
from lightir_core.data.metrics import METRICS
from lightir_core.data.tasks import TASKS, parse_task
from lightir_core.errors import DataError

NAMES = ["sr-x2", "sr-x3", "sr-x4", "denoise", "demosaic", "jpeg", "derain", "desnow"]


def test_the_table_holds_the_eight_tasks():
    assert list(TASKS) == NAMES
    assert all(task.kind == name for name, task in TASKS.items())


@pytest.mark.parametrize("name", NAMES)
def test_every_task_degrades_and_has_a_baseline_of_the_right_size(name, held_out):
    task = TASKS[name]
    gt = held_out.images[0].pixels[:120, :144]
    lq = task.degrade(gt, np.random.default_rng(0))
    assert lq.shape == (120 // task.scale, 144 // task.scale, task.in_channels)
    assert lq.dtype == np.uint8
    assert np.array_equal(lq, task.degrade(gt, np.random.default_rng(0)))
    baseline = task.baseline(lq)
    assert baseline.shape == gt.shape
    assert 10 < 10 * np.log10(255**2 / np.square(baseline.astype(float) - gt).mean()) < 50


@pytest.mark.parametrize("name", NAMES)
def test_a_tasks_name_reads_back_as_the_task(name):
    assert parse_task(TASKS[name].name) == TASKS[name]
    assert set(TASKS[name].metrics) <= set(METRICS)


# the protocols of the field: SR on Y without `scale` pixels of border, colour denoising on RGB
@pytest.mark.parametrize(
    ("name", "metric", "border_px"),
    [
        ("sr-x2", "psnr_y", 2),
        ("sr-x4", "psnr_y", 4),
        ("denoise", "psnr_rgb", 0),
        ("demosaic", "psnr_rgb", 0),
        ("jpeg", "psnr_y", 0),
        ("derain", "psnr_y", 0),
        ("desnow", "psnr_y", 0),
    ],
)
def test_the_deciding_score_is_the_fields(name, metric, border_px):
    assert (TASKS[name].metric, TASKS[name].border_px) == (metric, border_px)


def test_weather_is_reported_on_luma_and_colour():
    assert TASKS["derain"].metrics == TASKS["desnow"].metrics
    assert set(TASKS["derain"].metrics) == {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("denoise", "denoise:25"),
        ("denoise:50", "denoise:50"),
        ("denoise:15-50", "denoise:15-50"),
        (" denoise:2.5-7 ", "denoise:2.5-7"),
        ("denoise:30-30", "denoise:30"),
        ("jpeg", "jpeg:10-40"),
        ("jpeg:10", "jpeg:10"),
        ("jpeg:20-90", "jpeg:20-90"),
    ],
)
def test_parameters_follow_a_colon(text, name):
    assert parse_task(text).name == name
    assert parse_task(name) == parse_task(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sr-x5", "no task 'sr-x5'; did you mean 'sr-x4'"),
        ("", "use one of sr-x2, sr-x3"),
        ("sr-x2:3", "sr-x2 takes no parameter; write 'sr-x2'"),
        ("derain:heavy", "derain takes no parameter"),
        ("denoise:", "sigma '' is no number or range; write denoise:25"),
        ("denoise:a-b", "is no number or range"),
        ("denoise:50-15", r"not a rising range within 0\.\.255"),
        ("denoise:nan", "not a rising range"),
        ("denoise:-5", "is no number or range"),
        ("jpeg:0", r"quality '0' is not a rising range within 1\.\.95"),
        ("jpeg:96", "not a rising range"),
        ("jpeg:10.5", "not made of whole numbers"),
    ],
)
def test_a_wrong_task_says_what_to_write(text, reason):
    with pytest.raises(DataError, match=reason):
        parse_task(text)


def test_the_range_of_a_degradation_is_used():
    grey = np.full((64, 64, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    noisy = [parse_task("denoise:5-40").degrade(grey, rng) for _ in range(40)]
    deviations = [float(np.std(image.astype(float))) for image in noisy]
    assert 4.5 < min(deviations) < 10
    assert 35 < max(deviations) < 41


@pytest.mark.parametrize("text", [*NAMES, "denoise:5-70", "denoise:25,gray", "jpeg:10,gray"])
def test_a_batch_is_degraded_as_its_images_one_after_the_other(text, held_out):
    task = parse_task(text)
    images = [image.pixels[:36, 20:68] for image in held_out.images]
    images = [to_gray(pixels) if task.channels == 1 else pixels for pixels in images]
    batch = torch.stack([to_tensor(pixels) for pixels in images])
    rng = np.random.default_rng(3)
    one_by_one = torch.stack([to_tensor(task.degrade(pixels, rng)) for pixels in images])
    together = np.random.default_rng(3)
    assert torch.equal(task.degrade_batch(batch, together), one_by_one)
    assert together.random() == rng.random()
