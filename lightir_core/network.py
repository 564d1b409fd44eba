"""From an architecture to a network: stem, stages, body, tail.

    image ─ pad ─ normalise ─ stem ─ stage ─ … ─ stage ─ body ─ tail ─ denormalise ─ crop

Cross-layer slots read the stages' outputs before attention, the stem's output being the oldest.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core import architecture as arch
from lightir_core.blocks.axes import Axes, along, dense, vectors
from lightir_core.blocks.cross_layer import CrossLayerAttention
from lightir_core.stage import Stage, apply_norm

# normalisation -> mean and standard deviation per colour, of images in [0, 1]
NORMALISATIONS = {
    "div2k": ((0.4488, 0.4371, 0.4040), (1.0, 1.0, 1.0)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


DETAIL_GAIN = 10.0


class Stem(nn.Module):
    """The first layer; a patch embedding when its stride is above 1."""

    def __init__(self, architecture: arch.Architecture) -> None:
        """Build the part of this architecture."""
        super().__init__()
        stem, width = architecture.stem, architecture.width
        padding = stem.kernel_size // 2 if stem.patch_size == 1 else 0
        self.conv = nn.Conv2d(
            architecture.in_channels,
            width,
            stem.kernel_size,
            stride=stem.patch_size,
            padding=padding,
        )
        self.norm = nn.LayerNorm(width) if stem.norm else None
        # a single tap cannot be blind to flat areas
        if architecture.tail.skip == "interpolated" and self.conv.kernel_size != (1, 1):
            _see_detail(self.conv)

    @staticmethod
    def axes(architecture: arch.Architecture) -> Axes:
        """Return the axes of convolution and norm; image channels cannot be cut."""
        trunk = along(width=architecture.width)
        norm = vectors("norm", trunk) if architecture.stem.norm else {}
        return {**dense("conv", {}, trunk), **norm}

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, in, H, W) to the global skip and the trunk's input, both (B, C, H/p, W/p)."""
        # channels-last from here on: linear layers and LayerNorm then need no copies
        features = self.conv(image).contiguous(memory_format=torch.channels_last)
        return features, features if self.norm is None else apply_norm(self.norm, features)


class Body(nn.Module):
    """The end of the trunk: LayerNorm, 3x3 convolution, the stem's output added."""

    def __init__(self, architecture: arch.Architecture) -> None:
        """Build the part of this architecture."""
        super().__init__()
        body, width = architecture.body, architecture.width
        self.norm = nn.LayerNorm(width) if body.norm else None
        self.closing = nn.Conv2d(width, width, 3, padding=1) if body.closing != "none" else None
        self.skip = body.skip

    @staticmethod
    def axes(architecture: arch.Architecture) -> Axes:
        """Return the axes of norm and convolution."""
        trunk, body = along(width=architecture.width), architecture.body
        norm = vectors("norm", trunk) if body.norm else {}
        return {**norm, **(dense("closing", trunk, trunk) if body.closing != "none" else {})}

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Trunk output and stem output (B, C, H, W) to (B, C, H, W)."""
        if self.norm is not None:
            x = apply_norm(self.norm, x)
        if self.closing is not None:
            x = self.closing(x)
        return x + features if self.skip else x


class Tail(nn.Module):
    """Features to image; see `lightir_core.architecture.TailConfig`."""

    def __init__(self, architecture: arch.Architecture) -> None:
        """Build the part of this architecture."""
        super().__init__()
        self.scale = architecture.scale
        self.patch_size = architecture.stem.patch_size
        self.interpolated = architecture.tail.skip == "interpolated"
        width, out = architecture.width, architecture.out_channels
        direct = architecture.tail.upsampler == "direct"
        self.upsampler = nn.Sequential() if direct else _staged_upsampler(width, self.scale)
        self.last = nn.Conv2d(width, out * self.scale**2 if direct else out, 3, padding=1)
        self.shuffle = nn.PixelShuffle(self.scale if direct else 1)
        if self.interpolated:  # untrained, the network is the interpolation
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(_bias(self.last))

    @staticmethod
    def axes(architecture: arch.Architecture) -> Axes:
        """Return the axes of all convolutions; what a pixel shuffle takes apart cannot be cut."""
        width, axes = architecture.width, dict[str, Any]()
        trunk = along(width=width)
        staged = architecture.tail.upsampler == "staged"
        for number, factor in enumerate(_factors(architecture.scale) if staged else ()):
            # the shuffle makes one channel of factor² neighbours
            spread = along(width=torch.arange(width).repeat_interleave(factor**2))
            axes |= dense(f"upsampler.{2 * number}", trunk, spread)
        return axes | dense("last", trunk, {})

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Features (B, C, H/p, W/p) and the image (B, in, H, W) to (B, out, H·s, W·s)."""
        if self.patch_size > 1:
            x = F.interpolate(x, scale_factor=self.patch_size, mode="bilinear")
        y = self.shuffle(self.last(self.upsampler(x)))
        return y + enlarge(image, self.scale) if self.interpolated else y


class Network(nn.Module):
    """The network that `architecture` describes; images in [0, 1] in and, not clamped, out.

    Any height and width will do: the image is padded by reflection at the bottom and right to
    multiples of `architecture.window_multiple`, and the result is cropped.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: arch.Architecture) -> None:
        """Build every part; weights come from torch's global generator."""
        super().__init__()
        self.architecture = architecture
        stages, width = architecture.stages, architecture.width
        self.stem = Stem(architecture)
        self.stages = nn.ModuleList(
            Stage(stage, width) for stage in stages[:: architecture.stage_sharing]
        )
        self.cross_layers = nn.ModuleDict(
            {
                str(number): CrossLayerAttention(stage.cross_layer, width)
                for number, stage in enumerate(stages)
                if stage.cross_layer is not None
            }
        )
        self.body = Body(architecture)
        self.tail = Tail(architecture)
        zero, one = (0.0,) * 3, (1.0,) * 3
        mean, std = NORMALISATIONS.get(architecture.normalisation, (zero, one))
        # in double precision: the constants are then exact in any precision of the network
        for name, value in (("mean", mean), ("std", std)):
            constant = torch.tensor(value, dtype=torch.float64).view(1, 3, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H·scale, W·scale)."""
        height, width = image.shape[-2:]
        normalised = self.architecture.normalisation != "none"
        image = pad(image, self.architecture.window_multiple)
        if normalised:
            image = (image - self.mean.to(image.dtype)) / self.std.to(image.dtype)
        features, x = self.stem(image)
        y = self.tail(self.body(self._trunk(x), features), image)
        if normalised:
            y = y * self.std.to(y.dtype) + self.mean.to(y.dtype)
        scale = self.architecture.scale
        return y[..., : height * scale, : width * scale]

    def _trunk(self, x: Tensor) -> Tensor:
        """Return the stages and their cross-layer slots."""
        outputs = [x]
        for number, settings in enumerate(self.architecture.stages):
            x = self.stages[number // self.architecture.stage_sharing](x)
            if self.cross_layers:
                outputs.append(x)
            if settings.cross_layer is not None:
                first = -1 - settings.cross_layer.references
                x = x + self.cross_layers[str(number)](x, outputs[first:-1])
        return x


def pad(image: Tensor, multiple: int) -> Tensor:
    """Return the image mirrored at the bottom and right (edge pixels not repeated) to multiples.

    Unlike `torch.nn.functional.pad` it mirrors as often as it must: one pixel is enough.
    """
    if multiple == 1:
        return image
    for axis in (2, 3):
        size = image.shape[axis]
        padded = (size + multiple - 1) // multiple * multiple
        # the edge is read from a tensor, not from the size: exporters trace it as dynamic
        edge = torch.arange(size, device=image.device)[-1:]
        position = torch.arange(padded, device=image.device) % (2 * edge).clamp_min(1)
        image = image.index_select(axis, edge - (edge - position).abs())
    return image


def enlarge(image: Tensor, scale: int) -> Tensor:
    """Return the image enlarged bicubically, with MATLAB's kernel (a = −0.5)."""
    if scale == 1:
        return image
    # torch's plain bicubic has a = −0.75; its antialiased form has a = −0.5 and, when enlarging,
    # smooths nothing
    return F.interpolate(image, scale_factor=scale, mode="bicubic", antialias=True)


@torch.no_grad()
def _see_detail(conv: nn.Conv2d) -> None:
    """Make a convolution blind to flat areas, and strong.

    Where a skip carries the brightness, features that hold it too are almost constant: after a
    LayerNorm the detail is a small ripple that nonlinear layers treat as linear, and a training
    stays for long at what a sharpening filter reaches. Measured by `python -m benchmarks recipe`.
    """
    conv.weight -= conv.weight.mean(dim=(2, 3), keepdim=True)
    conv.weight *= DETAIL_GAIN
    nn.init.zeros_(_bias(conv))


def _factors(scale: int) -> list[int]:
    """Return the factors that a staged upsampler enlarges by, one after another."""
    factors: list[int] = []
    while scale > 1:
        factors.append(2 if scale % 2 == 0 else 3)
        scale //= factors[-1]
    return factors


def _staged_upsampler(width: int, scale: int) -> nn.Sequential:
    """EDSR's upsampler: per prime factor a widening convolution and a pixel shuffle."""
    layers: list[nn.Module] = []
    for factor in _factors(scale):
        layers += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def build(architecture: arch.Architecture) -> Network:
    """Return the network, initialised from torch's global random generator."""
    return Network(architecture)
