"""The restoration tasks: what is degraded and how a result is scored.

`TASKS` is the table; a parameter follows a colon: ``denoise:50``, ``jpeg:10-40``. With ``,gray`` at
the end a task is that of images with one channel: ``denoise:25,gray``. Degradations are synthetic
and seeded; a folder of real pairs needs only the scoring half.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from lightir_core.data import degrade
from lightir_core.data.images import to_pixels, to_tensor
from lightir_core.errors import DataError, nearest

LUMA = ("psnr_y", "ssim_y")
COLOUR = ("psnr_rgb", "ssim_rgb")
GRAY = ("psnr_gray", "ssim_gray")

_GRAY_SUFFIX = ",gray"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A degradation with the field's protocol for scoring its restoration."""

    kind: str
    """The name in `TASKS`; `name` adds the parameters."""
    scale: int = 1
    border_px: int = 0
    """Pixels that scores leave out on each side."""
    metrics: tuple[str, ...]
    """What is reported, names of `lightir_core.data.metrics.METRICS`; the first one decides."""
    channels: Literal[1, 3] = 3
    """Of the images, degraded and restored ones: RGB, or one of gray."""
    baseline_name: ClassVar[str] = "degraded input"
    degrades_whole: ClassVar[bool] = False
    """Whether a patch of the degraded image is the degraded patch of the image, turned or not.

    Then images are degraded once and for all. Noise is drawn anew for each patch instead, and a
    Bayer pattern or a JPEG grid must begin at the patch's corner.
    """
    is_sparse: ClassVar[bool] = False
    """Whether most pixels of a degraded image are those of the clean one, as between flakes."""
    degrades_anywhere: ClassVar[bool] = False
    """Whether `degrade_batch` takes tensors of any device; else those of the CPU alone."""
    takes_pairs: ClassVar[bool] = True
    """Whether degraded images that a data set brings are used, instead of making them."""

    @property
    def name(self) -> str:
        """The text that `parse_task` reads back."""
        setting = f":{self.setting}" if self.setting else ""
        return self.kind + setting + (_GRAY_SUFFIX if self.channels == 1 else "")

    @property
    def setting(self) -> str:
        """What follows the colon in the name: a range of degradations; empty for most tasks."""
        return ""

    @property
    def in_channels(self) -> int:
        """Channels of a degraded image."""
        return self.channels

    @property
    def out_channels(self) -> int:
        """Channels of a restored image."""
        return self.channels

    @property
    def metric(self) -> str:
        """The deciding score: ``psnr_y`` or ``psnr_rgb``."""
        return self.metrics[0]

    def degrade(self, gt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the low-quality image of a clean one, (H, W, channels) uint8 both."""
        raise NotImplementedError

    def degrade_batch(self, gt: Tensor, rng: np.random.Generator) -> Tensor:
        """Do as `degrade` one image after the other; uint8 tensors (B, C, H, W) of one size."""
        return torch.stack([to_tensor(self.degrade(to_pixels(image), rng)) for image in gt])

    def baseline(self, lq: np.ndarray) -> np.ndarray:
        """Return the restoration that a network has to beat: the low-quality image as it is."""
        return lq


@dataclass(frozen=True, kw_only=True)
class SuperResolution(Task):
    """Bicubic shrinking, MATLAB's; PSNR and SSIM on Y without `scale` pixels of border."""

    baseline_name: ClassVar[str] = "bicubic"
    degrades_whole: ClassVar[bool] = True

    def degrade(self, gt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image, cut to a multiple of the scale, shrunk by it."""
        return degrade.imresize(degrade.mod_crop(gt, self.scale), 1 / self.scale)

    def baseline(self, lq: np.ndarray) -> np.ndarray:
        """Bicubic enlargement."""
        return degrade.imresize(lq, self.scale)


@dataclass(frozen=True, kw_only=True)
class Denoise(Task):
    """White Gaussian noise, its sigma (in 0..255) drawn evenly from a range per image.

    Seeded: a training's noise by (seed, step), patch after patch; an image's for validation by
    (seed, its name), see `lightir_core.data.datasets`. Rounded and clipped to 8 bits.
    """

    degrades_anywhere: ClassVar[bool] = True
    sigma: tuple[float, float] = (25.0, 25.0)

    @property
    def setting(self) -> str:
        """``25`` or ``15-50``."""
        return _range_text(self.sigma)

    def degrade(self, gt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image with noise, rounded and clipped to 8 bits."""
        return degrade.add_noise(gt, rng.uniform(*self.sigma), rng)

    def degrade_batch(self, gt: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the same numbers, added to all images at once."""
        batch, channels, height, width = gt.shape
        noise = np.empty((batch, height, width, channels), np.float32)
        for image in noise:
            sigma = np.float32(rng.uniform(*self.sigma))
            rng.standard_normal(dtype=np.float32, out=image)
            image *= sigma
        noisy = gt + torch.from_numpy(noise).permute(0, 3, 1, 2).to(gt.device)
        return noisy.add_(0.5).floor_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class Demosaic(Task):
    """An RGGB Bayer mosaic as three channels with zeros; PSNR over RGB."""

    baseline_name: ClassVar[str] = "bilinear"
    takes_pairs: ClassVar[bool] = False

    def degrade(self, gt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the mosaic; red lies in the top left corner."""
        return degrade.mosaic(gt)

    def degrade_batch(self, gt: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the mosaics of all images at once."""
        pixels = gt.permute(2, 3, 1, 0).numpy()  # rows and columns first, the batch last
        return torch.from_numpy(degrade.mosaic(pixels)).permute(3, 2, 0, 1)

    def baseline(self, lq: np.ndarray) -> np.ndarray:
        """Bilinear demosaicking."""
        return degrade.demosaic_bilinear(lq)


@dataclass(frozen=True, kw_only=True)
class Jpeg(Task):
    """JPEG compression, its quality drawn evenly from a range per image."""

    quality: tuple[int, int] = (10, 40)

    @property
    def setting(self) -> str:
        """``10`` or ``10-40``."""
        return _range_text(self.quality)

    def degrade(self, gt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image after compression by Pillow."""
        return degrade.compress_jpeg(gt, int(rng.integers(*self.quality, endpoint=True)))


@dataclass(frozen=True, kw_only=True)
class Derain(Task):
    """Synthetic rain streaks, where no rainy pairs are given."""

    is_sparse: ClassVar[bool] = True

    def degrade(self, gt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image in synthetic rain."""
        return degrade.add_rain(gt, rng)


@dataclass(frozen=True, kw_only=True)
class Desnow(Task):
    """Synthetic snow flakes, where no snowy pairs are given."""

    is_sparse: ClassVar[bool] = True

    def degrade(self, gt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image in synthetic snow."""
        return degrade.add_snow(gt, rng)


TASKS: dict[str, Task] = {
    "sr-x2": SuperResolution(kind="sr-x2", scale=2, border_px=2, metrics=LUMA),
    "sr-x3": SuperResolution(kind="sr-x3", scale=3, border_px=3, metrics=LUMA),
    "sr-x4": SuperResolution(kind="sr-x4", scale=4, border_px=4, metrics=LUMA),
    "denoise": Denoise(kind="denoise", metrics=COLOUR),
    "demosaic": Demosaic(kind="demosaic", metrics=COLOUR),
    "jpeg": Jpeg(kind="jpeg", metrics=LUMA),
    "derain": Derain(kind="derain", metrics=LUMA + COLOUR),
    "desnow": Desnow(kind="desnow", metrics=LUMA + COLOUR),
}
"""Every task by its name, with the parameters that hold when none are given."""


def parse_task(text: str) -> Task:
    """Return the task that `text` names: ``sr-x2``, ``denoise:15-50``, ``jpeg:10``, ``sr-x2,gray``.

    Raises:
        DataError: no such task, or a parameter that it does not take or that is out of range.
    """
    colourless = text.strip().removesuffix(_GRAY_SUFFIX)
    if colourless != text.strip():
        return for_gray(parse_task(colourless))
    kind, colon, parameter = colourless.partition(":")
    if kind not in TASKS:
        raise DataError(
            f"there is no task {kind!r}{nearest(kind, TASKS)}; use one of {', '.join(TASKS)}"
        )
    task = TASKS[kind]
    if not colon:
        return task
    if kind not in _PARAMETERS:
        raise DataError(f"task {text!r}: {kind} takes no parameter; write {kind!r}")
    return _PARAMETERS[kind](task, parameter)


def for_gray(task: Task) -> Task:
    """Return the same task for images of one channel; PSNR and SSIM are then taken on that channel.

    Raises:
        DataError: it is about colours.
    """
    if isinstance(task, Demosaic):
        raise DataError(
            "demosaic fills in missing colours; a gray image has none: use --channels 3"
        )
    return replace(task, channels=1, metrics=GRAY)


def with_channels(text: str, channels: int) -> str:
    """Return the name of the task that `text` names, for images of 1 or 3 channels.

    Raises:
        DataError: as `parse_task`, or another number of channels.
    """
    if channels not in (1, 3):
        raise DataError(f"channels={channels} is not possible; use 1 for gray or 3 for colour")
    task = parse_task(text)
    return (for_gray(task) if channels == 1 else task).name


def _with_sigma(task: Task, text: str) -> Task:
    return replace(task, sigma=_parse_range(text, (0.0, 255.0), "sigma", "denoise:25"))


def _with_quality(task: Task, text: str) -> Task:
    low, high = _parse_range(text, (1.0, 95.0), "quality", "jpeg:10-40")
    if low % 1 or high % 1:
        raise DataError(f"quality {text!r} is not made of whole numbers; write jpeg:10-40")
    return replace(task, quality=(int(low), int(high)))


_PARAMETERS: dict[str, Callable[[Task, str], Task]] = {
    "denoise": _with_sigma,
    "jpeg": _with_quality,
}


def _parse_range(
    text: str, bounds: tuple[float, float], what: str, example: str
) -> tuple[float, float]:
    """``"25"`` as (25, 25), ``"15-50"`` as (15, 50)."""
    low_text, dash, high_text = text.partition("-")
    try:
        low = float(low_text)
        high = float(high_text) if dash else low
    except ValueError:
        raise DataError(f"{what} {text!r} is no number or range; write {example}") from None
    if not bounds[0] <= low <= high <= bounds[1]:
        raise DataError(
            f"{what} {text!r} is not a rising range within {bounds[0]:g}..{bounds[1]:g}; "
            f"write {example}"
        )
    return low, high


def _range_text(values: tuple[float, float]) -> str:
    low, high = values
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"
