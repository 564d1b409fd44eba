"""A stage: blocks, recursion, the anchor, the closing convolution and the skip.

DRT's recursive transformer block (CVPRW 2022) is `recursions=3, anchor="every"`; SwinIR's RSTB is
`skip="input"`; GRFormer's group is `skip="output"`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from lightir_core import architecture as arch
from lightir_core.blocks import FEED_FORWARDS, MIXERS
from lightir_core.blocks.axes import Axes, Channels, Extent, along, dense, vectors, within
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
        x = x + self._branch(x, self._mix, self.norm1)
        if self.feed_forward is not None:
            x = x + self._branch(x, self.feed_forward, self.norm2)
        return x

    def _mix(self, x: Tensor) -> Tensor:
        return recomputed(self.mixer, x) if self.recompute else self.mixer(x)

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
        """One application of the blocks."""
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
    """The 3x3 convolution that closes a stage: "convolution", "depthwise", or "none" for None."""
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
    """Inside, batch norms use the batch but do not count it: it was counted the first time."""
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
