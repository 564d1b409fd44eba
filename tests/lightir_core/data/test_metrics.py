import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from lightir_core.data.datasets import to_tensor
from lightir_core.data.degrade import imresize, mod_crop
from lightir_core.data.images import read_image
from lightir_core.data.metrics import (
    METRICS,
    luma,
    psnr_gray,
    psnr_rgb,
    psnr_y,
    ssim_gray,
    ssim_rgb,
    ssim_y,
)
from lightir_core.errors import ShapeError

# Bicubic on Set5, PSNR-Y by image; the papers' means are 33.66 / 30.39 / 28.42 (e.g. SwinIR,
# ICCVW 2021), which resize the Y channel alone.
BICUBIC_SET5 = {
    "baby": (37.0781, 33.9247, 31.7842),
    "bird": (36.8210, 32.5845, 30.1815),
    "butterfly": (27.4365, 24.0385, 22.0996),
    "head": (34.8817, 32.9026, 31.6133),
    "woman": (32.1498, 28.5663, 26.4665),
}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", BICUBIC_SET5)
def test_bicubic_on_set5_has_the_known_psnr(shared, name, scale):
    set5 = shared / "sr" / "Set5"
    gt = mod_crop(read_image(set5 / "HR" / f"{name}.png"), scale)
    [lq] = (set5 / "LR_bicubic" / f"X{scale}").glob(f"{name}*")
    enlarged = imresize(read_image(lq), scale)
    score = psnr_y(to_tensor(enlarged)[None], to_tensor(gt)[None], border_px=scale)
    assert score == pytest.approx(BICUBIC_SET5[name][scale - 2], abs=5e-5)


def noisy_pair(held_out, sigma=12.0):
    gt = held_out.images[0].pixels[:120, :150]
    noise = np.random.default_rng(0).normal(0, sigma, gt.shape)
    return np.clip(gt + noise, 0, 255).round().astype(np.uint8), gt


def test_ssim_of_colour_is_scikit_images(held_out):
    pred, gt = noisy_pair(held_out)
    # scikit-image averages over the windows that lie inside, as MATLAB's ssim does with 'valid'
    reference = structural_similarity(
        pred, gt, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim_rgb(to_tensor(pred)[None], to_tensor(gt)[None]) == pytest.approx(
        reference, abs=1e-9
    )


def test_ssim_of_luma_is_scikit_images_on_the_unrounded_y(held_out):
    pred, gt = noisy_pair(held_out)
    y_pred, y_gt = (luma(to_tensor(image)[None].double())[0, 0].numpy() for image in (pred, gt))
    reference = structural_similarity(
        y_pred[3:-3, 3:-3],
        y_gt[3:-3, 3:-3],
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    score = ssim_y(to_tensor(pred)[None], to_tensor(gt)[None], border_px=3)
    assert score == pytest.approx(reference, abs=1e-9)


def test_luma_runs_from_16_to_235():
    # ITU-R BT.601 (studio range): black is 16, white 235, pure green 16 + 128.553
    colours = torch.tensor([[0, 0, 0], [255, 255, 255], [0, 255, 0]], dtype=torch.float64)
    assert luma(colours.view(3, 3, 1, 1)).flatten().tolist() == pytest.approx([16, 235, 144.553])


def test_psnr_of_one_grey_level_is_48_13_db():
    gt = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    assert psnr_rgb(gt + 1, gt) == pytest.approx(20 * math.log10(255))
    # in Y a level is 219 / 255
    assert psnr_y(gt + 1, gt) == pytest.approx(20 * math.log10(255 * 255 / 219))


def test_gray_scores_are_those_of_the_one_channel_in_all_three(held_out):
    pred, gt = (to_tensor(image)[None, :1] for image in noisy_pair(held_out))
    thrice = (pred.repeat(1, 3, 1, 1), gt.repeat(1, 3, 1, 1))
    assert psnr_gray(pred, gt) == pytest.approx(psnr_rgb(*thrice))
    assert ssim_gray(pred, gt) == pytest.approx(ssim_rgb(*thrice))
    with pytest.raises(ShapeError, match=r"are \(B, 1, H, W\)"):
        psnr_gray(*thrice)


def test_a_batch_scores_the_mean_of_its_images():
    gt = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    pred = gt.clone()
    pred[0] += 1
    pred[1] += 10
    assert psnr_rgb(pred, gt) == pytest.approx((psnr_rgb(gt + 1, gt) + psnr_rgb(gt + 10, gt)) / 2)


def channels_of(name):
    return 1 if name.endswith("gray") else 3


@pytest.mark.parametrize("name", METRICS)
def test_equal_images_score_the_best(name):
    gt = torch.rand(1, channels_of(name), 16, 16, generator=torch.Generator().manual_seed(0))
    assert METRICS[name](gt, gt) == (math.inf if name.startswith("psnr") else pytest.approx(1))


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31 - 1))
def test_a_score_is_that_of_the_saved_image(name, seed):
    generator = torch.Generator().manual_seed(seed)
    gt, pred = torch.rand(2, 1, channels_of(name), 13, 14, generator=generator) * 1.4 - 0.2
    saved = (pred.clamp(0, 1) * 255).round().to(torch.uint8)
    score = METRICS[name](pred, gt, border_px=1)
    assert score == pytest.approx(METRICS[name](saved, gt, border_px=1))
    assert score == pytest.approx(METRICS[name](gt, pred, border_px=1))  # symmetric


def test_the_border_is_left_out():
    gt = torch.zeros(1, 3, 12, 12)
    pred = torch.ones(1, 3, 12, 12)
    pred[..., 2:-2, 2:-2] = 0
    assert psnr_y(pred, gt, border_px=2) == math.inf
    assert psnr_y(pred, gt, border_px=1) < 20


def test_images_of_different_shape_are_refused():
    with pytest.raises(ShapeError, match=r"differ: \(1, 3, 4, 4\) and \(1, 3, 4, 5\)"):
        psnr_y(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 1, 4, 4), (0, 3, 4, 4)])
def test_only_colour_batches_are_compared(shape):
    with pytest.raises(ShapeError, match=r"are \(B, 3, H, W\)"):
        psnr_rgb(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("border_px", [-1, 2, 3])
def test_a_border_that_leaves_nothing_is_refused(border_px):
    with pytest.raises(ShapeError, match="leaves nothing of 5x4 px"):
        psnr_y(torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 4, 5), border_px=border_px)


def test_ssim_needs_one_window():
    image = torch.zeros(1, 3, 14, 20)
    assert ssim_y(image, image, border_px=1) == pytest.approx(1)
    with pytest.raises(ShapeError, match="needs 11x11 pixels inside the border; got 16x10"):
        ssim_y(image, image, border_px=2)
