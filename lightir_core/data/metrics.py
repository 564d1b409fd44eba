"""PSNR and SSIM as the field's papers report them.

Images are ``(B, 3, H, W)``, for the gray scores ``(B, 1, H, W)``: floating point in [0, 1], or
uint8. Floating-point images are clamped and rounded to 8 bits first, because papers score saved
images; so a network's output and the same output written to a PNG and read back have the same
score. A batch's score is the mean of its images' scores.

Y is the luma of ITU-R BT.601 in its 16..235 range, in floating point and not rounded:
    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255,   R, G, B in 0..255
SSIM (Wang et al., IEEE TIP 2004) in the MATLAB form: 11x11 Gaussian window of sigma 1.5, only
windows that lie inside the image, K1 = 0.01, K2 = 0.03, peak 255, computed by
scikit-image; of RGB the mean over channels.
"""

from collections.abc import Callable

import numpy as np
import skimage.metrics  # a name only: scikit-image loads the function when it is called
import torch
from torch import Tensor

from lightir_core.errors import ShapeError

_WINDOW = 11


def psnr_y(pred: Tensor, gt: Tensor, *, border_px: int = 0) -> float:
    """Return PSNR in dB on the BT.601 luma channel, the super-resolution convention.

    Args:
        pred: (B, 3, H, W) in [0, 1], or uint8.
        gt: as `pred`.
        border_px: pixels left out on each side; `scale` by convention.

    Returns:
        The mean over the batch; infinity when the images are equal.

    Raises:
        ShapeError: the shapes differ, or the border leaves no pixel.
    """
    return _psnr(*_prepare(pred, gt, border_px, y_only=True))


def psnr_rgb(pred: Tensor, gt: Tensor, *, border_px: int = 0) -> float:
    """Return PSNR in dB over the three colour channels; arguments and errors as `psnr_y`."""
    return _psnr(*_prepare(pred, gt, border_px, y_only=False))


def ssim_y(pred: Tensor, gt: Tensor, *, border_px: int = 0) -> float:
    """Return SSIM on the BT.601 luma channel; arguments and errors as `psnr_y`.

    Raises:
        ShapeError: also when less than 11 x 11 pixels are left.
    """
    return _ssim(*_prepare(pred, gt, border_px, y_only=True))


def ssim_rgb(pred: Tensor, gt: Tensor, *, border_px: int = 0) -> float:
    """Return SSIM, the mean over the colour channels; arguments and errors as `ssim_y`."""
    return _ssim(*_prepare(pred, gt, border_px, y_only=False))


def psnr_gray(pred: Tensor, gt: Tensor, *, border_px: int = 0) -> float:
    """Return PSNR in dB of images with one channel, (B, 1, H, W); else as `psnr_y`."""
    return _psnr(*_prepare(pred, gt, border_px, y_only=False, channels=1))


def ssim_gray(pred: Tensor, gt: Tensor, *, border_px: int = 0) -> float:
    """Return SSIM of images with one channel, (B, 1, H, W); else as `ssim_y`."""
    return _ssim(*_prepare(pred, gt, border_px, y_only=False, channels=1))


METRICS: dict[str, Callable[..., float]] = {
    "psnr_y": psnr_y,
    "ssim_y": ssim_y,
    "psnr_rgb": psnr_rgb,
    "ssim_rgb": ssim_rgb,
    "psnr_gray": psnr_gray,
    "ssim_gray": ssim_gray,
}
"""Every score that a task may report; larger is better in all of them."""


def luma(image: Tensor) -> Tensor:
    """Return BT.601 luma, (B, 1, H, W) in 16..235 and not rounded, of (B, 3, H, W) in 0..255."""
    weights = image.new_tensor([65.481, 128.553, 24.966]) / 255
    return 16 + (image * weights.view(3, 1, 1)).sum(dim=1, keepdim=True)


def to_eight_bits(image: Tensor) -> Tensor:
    """Return the image as it would be saved, uint8: values in [0, 1] are clamped and rounded."""
    if image.dtype == torch.uint8:
        return image
    return image.detach().clamp(0, 1).mul(255).round().to(torch.uint8)


def _prepare(
    pred: Tensor, gt: Tensor, border_px: int, *, y_only: bool, channels: int = 3
) -> tuple[Tensor, Tensor]:
    _check(pred, gt, border_px, channels)
    return _values(pred, border_px, y_only=y_only), _values(gt, border_px, y_only=y_only)


def _check(pred: Tensor, gt: Tensor, border_px: int, channels: int) -> None:
    if pred.shape != gt.shape:
        raise ShapeError(f"images to compare differ: {tuple(pred.shape)} and {tuple(gt.shape)}")
    if pred.ndim != 4 or pred.shape[1] != channels or not pred.shape[0]:
        raise ShapeError(f"images to compare are (B, {channels}, H, W); got {tuple(pred.shape)}")
    if border_px < 0 or min(pred.shape[-2:]) <= 2 * border_px:
        raise ShapeError(
            f"a border of {border_px} px leaves nothing of {pred.shape[-1]}x{pred.shape[-2]} px"
        )


def _values(image: Tensor, border_px: int, *, y_only: bool) -> Tensor:
    height, width = image.shape[-2:]
    inner = image[..., border_px : height - border_px, border_px : width - border_px]
    values = to_eight_bits(inner).double()
    return luma(values) if y_only else values


def _psnr(pred: Tensor, gt: Tensor) -> float:
    mse = (pred - gt).square().mean(dim=(1, 2, 3))
    return (10 * torch.log10(255**2 / mse)).mean().item()


def _ssim(pred: Tensor, gt: Tensor) -> float:
    if min(pred.shape[-2:]) < _WINDOW:
        raise ShapeError(
            f"SSIM needs {_WINDOW}x{_WINDOW} pixels inside the border; "
            f"got {pred.shape[-1]}x{pred.shape[-2]}"
        )
    scores = [
        skimage.metrics.structural_similarity(
            *pair, data_range=255, channel_axis=0,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for pair in zip(pred.cpu().numpy(), gt.cpu().numpy(), strict=True)
    ]  # fmt: skip
    return float(np.mean(scores))
