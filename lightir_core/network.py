"""From an architecture to a network: stem, stages, body, tail.

    image ─ pad ─ normalise ─ stem ─ stage ─ … ─ stage ─ body ─ tail ─ denormalise ─ crop

Cross-layer slots read the stages' outputs before attention, the stem's output being the oldest.

A stage is blocks, recursion, the anchor, the closing convolution and the skip: DRT's recursive
transformer block (CVPRW 2022) is `recursions=3, anchor="every"`; SwinIR's RSTB is `skip="input"`;
GRFormer's group is `skip="output"`.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lightir_core import architecture as arch
from lightir_core.blocks import FEED_FORWARDS, MIXERS
from lightir_core.blocks.axes import Axes, Channels, Extent, along, dense, vectors, within
from lightir_core.blocks.cross_layer import CrossLayerAttention
from lightir_core.blocks.windows import channels_first, channels_last


class Block(nn.Module):
    """x + mixer(x), then x + feed_forward(x), each with a LayerNorm before, after or nowhere.

    Attributes:
        recompute: in training, forget what the mixer computed and compute it again for the
            gradient: the same numbers, for less memory and more time. At first on for GSWA,
            whose purpose is memory; see `set_recomputation`.
    """

    def __init__(self, settings: arch.BlockConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        feed_forward, norm = settings.feed_forward, settings.norm
        self.norm = norm
        self.recompute = settings.mixer.recomputed
        self.norm1 = nn.LayerNorm(width) if norm != "none" else None
        self.mixer = MIXERS[type(settings.mixer)](settings.mixer, width)
        self.norm2 = nn.LayerNorm(width) if feed_forward and norm != "none" else None
        self.feed_forward = (
            FEED_FORWARDS[type(feed_forward)](feed_forward, width) if feed_forward else None
        )

    @staticmethod
    def channels(settings: arch.BlockConfig, width: int) -> Channels:
        """Return the axes of norms, mixer and feed-forward, whose kinds of channels differ."""
        norm = vectors("norm", along(width=width)) if settings.norm != "none" else {}
        mixer = MIXERS[type(settings.mixer)].channels(settings.mixer, width)
        axes = {**_numbered(norm, 1), **within("mixer", mixer.axes)}
        extents = _inside("mixer", mixer)
        if settings.feed_forward is not None:
            kind = type(settings.feed_forward)
            feed_forward = FEED_FORWARDS[kind].channels(settings.feed_forward, width)
            axes |= {**_numbered(norm, 2), **within("feed_forward", feed_forward.axes)}
            extents |= _inside("feed_forward", feed_forward)
        rooted = tuple(f"mixer.{name}" for name in mixer.rooted)
        return Channels(axes=axes, extents=extents, rooted=rooted, root=mixer.root)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        mix = partial(recomputed, self.mixer) if self.recompute else self.mixer
        x = x + self._branch(x, mix, self.norm1)
        if self.feed_forward is not None:
            x = x + self._branch(x, self.feed_forward, self.norm2)
        return x

    def _branch(
        self, x: Tensor, module: Callable[[Tensor], Tensor], norm: nn.LayerNorm | None
    ) -> Tensor:
        if norm is None:
            return module(x)
        if self.norm == "pre":
            return module(apply_norm(norm, x))
        return apply_norm(norm, module(x))


class Stage(nn.Module):
    """The blocks in order, `recursions` times, then closing convolution and skip.

    Untied passes keep their blocks one pass after another in `blocks`.
    """

    def __init__(self, settings: arch.StageConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        self.recursions = settings.recursions
        self.anchor = settings.anchor
        self.skip = settings.skip
        copies = 1 if settings.tied else settings.recursions
        self.blocks = nn.ModuleList(
            Block(block, width) for _ in range(copies) for block in settings.blocks
        )
        self.depth = len(settings.blocks)
        self.closing = build_closing(settings.closing, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        entry = x
        for number in range(self.recursions):
            x = self._pass(x, number)
            last = number == self.recursions - 1
            if self.anchor == "every" or (self.anchor == "last" and last):
                x = x + entry
        if self.closing is not None:
            closed = self.closing(x)
            x = x + closed if self.skip == "output" else closed
        return x + entry if self.skip == "input" else x

    def _pass(self, x: Tensor, number: int) -> Tensor:
        """Apply the blocks."""
        tied = len(self.blocks) == self.depth
        first = 0 if tied else number * self.depth
        for index in range(first, first + self.depth):
            x = self.blocks[index](x)
        return x


def apply_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """LayerNorm over the channels of (B, C, H, W)."""
    return channels_first(norm(channels_last(x)))


def _numbered(norm: Axes, number: int) -> Axes:
    return {name.replace("norm", f"norm{number}"): layout for name, layout in norm.items()}


def _inside(part: str, channels: Channels) -> dict[str, Extent]:
    """Return a part's extents, their fields named from the block."""
    return {
        kind: replace(extent, fields=tuple(f"{part}.{name}" for name in extent.fields))
        for kind, extent in channels.extents.items()
    }


def closing_axes(kind: str, width: int) -> Axes:
    """Return the axes of the convolution that closes a stage."""
    trunk = along(width=width)
    if kind == "none":
        return {}
    return vectors("closing", trunk) if kind == "depthwise" else dense("closing", trunk, trunk)


def build_closing(kind: str, width: int) -> nn.Conv2d | None:
    """Return the 3x3 "convolution" or "depthwise" one that closes a stage; None for "none"."""
    if kind == "none":
        return None
    groups = width if kind == "depthwise" else 1
    return nn.Conv2d(width, width, 3, padding=1, groups=groups)


def set_recomputation(network: nn.Module, enabled: bool) -> None:
    """Choose memory or time for the training of every mixer in `network`; see `Block`."""
    for module in network.modules():
        if isinstance(module, Block):
            module.recompute = enabled


def recomputed(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)`; in training only `x` is kept for the gradient. The numbers are the same."""
    if not (module.training and torch.is_grad_enabled()):
        return module(x)
    # Weights that are lent for this call only (`torch.func.functional_call`) are gone when the
    # gradient is computed: keep the very tensors.
    weights: dict[str, Tensor] = dict(module.named_parameters())
    return checkpoint(
        lambda x: functional_call(module, weights, x),
        x,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (contextlib.nullcontext(), _statistics_at_rest(module)),
    )


@contextlib.contextmanager
def _statistics_at_rest(module: nn.Module) -> Iterator[None]:
    """Let batch norms inside use the batch but do not count it: it was counted the first time."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


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
        return {**axes, **dense("last", trunk, {})}

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
