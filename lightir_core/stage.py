"""A stage: blocks, recursion, the anchor, the closing convolution and the skip.

DRT's recursive transformer block (CVPRW 2022) is `recursions=3, anchor="every"`; SwinIR's RSTB is
`skip="input"`; GRFormer's group is `skip="output"`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from lightir_core import architecture as arch
from lightir_core.blocks import FEED_FORWARDS, MIXERS
from lightir_core.blocks.layout import channels_first, channels_last
from lightir_core.blocks.recomputation import recomputed


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
        self.recompute = isinstance(settings.mixer, arch.CascadeAttentionConfig)
        self.norm1 = nn.LayerNorm(width) if norm != "none" else None
        self.mixer = MIXERS[type(settings.mixer)](settings.mixer, width)
        self.norm2 = nn.LayerNorm(width) if feed_forward and norm != "none" else None
        self.feed_forward = (
            FEED_FORWARDS[type(feed_forward)](feed_forward, width) if feed_forward else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
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
            build_block(block, width) for _ in range(copies) for block in settings.blocks
        )
        self.depth = len(settings.blocks)
        self.closing = build_closing(settings.closing, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
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


def build_block(settings: arch.BlockConfig, width: int) -> Block:
    """One block for feature maps of `width` channels."""
    return Block(settings, width)


def build_closing(kind: str, width: int) -> nn.Conv2d | None:
    """The 3x3 convolution that closes a stage: "convolution", "depthwise", or "none" for None."""
    if kind == "none":
        return None
    groups = width if kind == "depthwise" else 1
    return nn.Conv2d(width, width, 3, padding=1, groups=groups)


def build_stage(settings: arch.StageConfig, width: int) -> Stage:
    """One stage without its cross-layer slot, which belongs to the network."""
    return Stage(settings, width)


def set_recomputation(network: nn.Module, enabled: bool) -> None:
    """Choose memory or time for the training of every mixer in `network`; see `Block`."""
    for module in network.modules():
        if isinstance(module, Block):
            module.recompute = enabled
