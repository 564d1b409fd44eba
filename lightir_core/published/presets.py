"""The published systems by name, at their published size or shrunk to a budget.

Same-size tasks add the input image to the output, as SwinIR's and Compacter's own heads for them
do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    BodyConfig,
    CascadeAttentionConfig,
    ChannelBranchConfig,
    CrossLayerConfig,
    DepthwiseMlpConfig,
    DsgmConfig,
    ExponentialPositionConfig,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    StageConfig,
    StemConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.errors import ArchitectureError, nearest


def swinir(
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    window: int,
    hidden_dim: int,
    scale: int,
) -> Architecture:
    """SwinIR (ICCVW 2021) with its light upsampler; `depths` and `num_heads` are per stage."""
    sides = (window, window)
    mixers = [WindowAttentionConfig(num_heads=heads, window_size=sides) for heads in num_heads]
    return _swin(width, depths, mixers, hidden_dim, scale)


def agileir(
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    key_dims: Sequence[int],
    window: int,
    hidden_dim: int,
    scale: int,
) -> Architecture:
    """AgileIR (ICANN 2025): SwinIR's skeleton with GSWA; a key width per stage."""
    mixers = [
        CascadeAttentionConfig(num_heads=heads, key_dim=key_dim, window_size=(window, window))
        for heads, key_dim in zip(num_heads, key_dims, strict=True)
    ]
    return _swin(width, depths, mixers, hidden_dim, scale)


def _swin(
    width: int,
    depths: Sequence[int],
    mixers: Sequence[WindowAttentionConfig | CascadeAttentionConfig],
    hidden_dim: int,
    scale: int,
) -> Architecture:
    """Return SwinIR's skeleton; the mixer of a stage is shifted in every second block."""

    def stage(depth: int, mixer: WindowAttentionConfig | CascadeAttentionConfig) -> StageConfig:
        half = mixer.window_size[0] // 2
        moved = replace(mixer, shift_size=(half, half))
        blocks = [
            BlockConfig(
                mixer=moved if index % 2 else mixer, feed_forward=MlpConfig(hidden_dim=hidden_dim)
            )
            for index in range(depth)
        ]
        return StageConfig(blocks=tuple(blocks))

    return Architecture(
        width=width,
        stages=tuple(stage(*each) for each in zip(depths, mixers, strict=True)),
        scale=scale,
        normalisation="div2k",
        stem=StemConfig(norm=True),
        tail=_light_tail(scale),
    )


def grformer(
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    window: tuple[int, int],
    hidden_dim: int,
    scale: int,
) -> Architecture:
    """GRFormer (ACM MM 2024) as released: windows turn every second pair of blocks.

    The released code does not turn the shift with the window; its weights expect that.
    """

    def block(heads: int, index: int) -> BlockConfig:
        turned = index // 2 % 2 == 1
        mixer = WindowAttentionConfig(
            num_heads=heads,
            window_size=(window[1], window[0]) if turned else window,
            shift_size=(window[0] // 2, window[1] // 2) if index % 2 else (0, 0),
            projection=ProjectionConfig(groups=2, residual=True),
            output=ProjectionConfig(groups=2),
            logits="cosine",
            position=ExponentialPositionConfig(),
        )
        return BlockConfig(
            mixer=mixer, feed_forward=DepthwiseMlpConfig(hidden_dim=hidden_dim), norm="post"
        )

    stages = tuple(
        StageConfig(blocks=tuple(block(heads, index) for index in range(depth)), skip="output")
        for depth, heads in zip(depths, num_heads, strict=True)
    )
    return Architecture(
        width=width, stages=stages, scale=scale, normalisation="div2k", tail=_light_tail(scale)
    )


def drt(
    width: int,
    stages: int,
    recursions: int,
    num_heads: int,
    window: int,
    hidden_dim: int,
    patch_size: Literal[1, 2, 4] = 1,
    scale: int = 1,
) -> Architecture:
    """DRT (CVPRW 2022): `stages` recursive transformer blocks of two blocks, never shifted."""
    block = BlockConfig(
        mixer=WindowAttentionConfig(num_heads=num_heads, window_size=(window, window)),
        feed_forward=MlpConfig(hidden_dim=hidden_dim),
    )
    stage = StageConfig(blocks=(block, block), recursions=recursions, anchor="every", skip="none")
    return Architecture(
        width=width,
        stages=(stage,) * stages,
        scale=scale,
        normalisation="imagenet",
        stem=StemConfig(kernel_size=patch_size, patch_size=patch_size),
        body=BodyConfig(norm=False, closing="none"),
        tail=_light_tail(scale),
    )


def compacter(
    width: int,
    depth: int,
    num_heads: int,
    window: int,
    hidden_dim: int,
    scale: int,
    *,
    num_channel_heads: int = 1,
    bias: bool = True,
) -> Architecture:
    """Compacter (ACM MM 2024); sizes and biases are a reconstruction from its parameter counts.

    `bias` is that of everything in a block but the projections to queries, keys and values.
    """
    mixer = WindowAttentionConfig(
        num_heads=num_heads,
        window_size=(window, window),
        projection=ProjectionConfig(bias=False),
        channel=ChannelBranchConfig(num_heads=num_channel_heads),
        output=ProjectionConfig(bias=bias),
        depthwise_value=True,
        depthwise_bias=bias,
    )
    block = BlockConfig(mixer=mixer, feed_forward=DsgmConfig(hidden_dim=hidden_dim, bias=bias))
    return Architecture(
        width=width,
        stages=(StageConfig(blocks=(block,) * depth, closing="none", skip="none"),),
        scale=scale,
        body=BodyConfig(norm=False),
        tail=_light_tail(scale),
    )


def edsr(
    width: int,
    depths: Sequence[int],
    scale: int,
    *,
    keys: int = 0,
    selection: Literal["none", "soft", "hard"] = "none",
    depthwise_tail: bool = False,
) -> Architecture:
    """EDSR (CVPRW 2017), with `keys` > 0 with cross-layer attention after each stage (ACLA).

    Slot t reads the stem's output and those of all t earlier stages.
    """
    block = BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")

    def slot(number: int) -> CrossLayerConfig | None:
        if not keys:
            return None
        return CrossLayerConfig(
            keys=keys, references=number + 1, selection=selection, depthwise_tail=depthwise_tail
        )

    stages = tuple(
        StageConfig(blocks=(block,) * depth, closing="none", skip="none", cross_layer=slot(number))
        for number, depth in enumerate(depths)
    )
    return Architecture(
        width=width,
        stages=stages,
        scale=scale,
        normalisation="div2k",
        body=BodyConfig(norm=False),
        tail=TailConfig(upsampler="staged", skip="interpolated" if scale == 1 else "none"),
    )


def _light_tail(scale: int) -> TailConfig:
    return TailConfig(skip="interpolated" if scale == 1 else "none")


@dataclass(frozen=True)
class Preset:
    """A published system: its design, and the size at which it was published.

    Attributes:
        design: (width, depth, scale) to an architecture.
        width: published channels.
        depth: published number of blocks, or of recursive stages for DRT.
        width_step: widths are multiples of this, so that heads and groups divide them.
        same_size: what was published for tasks that do not enlarge, where that differs.
    """

    design: Callable[[int, int, int], Architecture]
    width: int
    depth: int
    width_step: int
    same_size: Preset | None = None


def spread_blocks(depth: int, longest: int) -> tuple[int, ...]:
    """`depth` blocks in as few stages of at most `longest` as hold them, evenly."""
    stages = -(-depth // longest)
    return tuple(depth // stages + (number < depth % stages) for number in range(stages))


def _swinir_light(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 6)
    return swinir(width, depths, (6,) * len(depths), 8, 2 * width, scale)


def _grformer(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 6)
    return grformer(width, depths, (3,) * len(depths), (8, 32), 2 * width, scale)


def _agileir(
    width: int, depth: int, scale: int, published: int = 180, window: int = 16
) -> Architecture:
    depths = spread_blocks(depth, 6)
    stages, key_dim = len(depths), max(1, round(16 * width / published))
    return agileir(width, depths, (6,) * stages, (key_dim,) * stages, window, 2 * width, scale)


def _compacter_same_size(width: int, depth: int, scale: int) -> Architecture:
    """Return what the published 407 k parameters of the same-size tasks single out.

    The network for x2 (393 k) with another tail has 389 k.
    """
    return compacter(width, depth, 4, 12, width * 7 // 4, scale, bias=False)


PRESETS: dict[str, Preset] = {
    "swinir-light": Preset(_swinir_light, width=60, depth=24, width_step=6),
    "grformer": Preset(_grformer, width=60, depth=24, width_step=6),
    "agileir": Preset(_agileir, width=180, depth=36, width_step=6),
    "agileir-light": Preset(
        lambda w, d, s: _agileir(w, d, s, 60, 8), width=60, depth=24, width_step=6
    ),
    "drt": Preset(lambda w, d, s: drt(w, d, 3, 2, 7, w, scale=s), width=96, depth=6, width_step=2),
    "compacter": Preset(
        lambda w, d, s: compacter(w, d, 4, 8, w * 3 // 2, s),
        width=48,
        depth=16,
        width_step=4,
        same_size=Preset(_compacter_same_size, width=48, depth=15, width_step=4),
    ),
    "edsr-baseline": Preset(
        lambda w, d, s: edsr(w, spread_blocks(d, 4), s), width=64, depth=16, width_step=4
    ),
    "edsr-acla": Preset(
        lambda w, d, s: edsr(w, spread_blocks(d, 4), s, keys=9, selection="hard"),
        width=64,
        depth=16,
        width_step=4,
    ),
}
"""The published systems by name."""


def preset(name: str, task: str = "sr-x2") -> Architecture:
    """Return a published system at its published size.

    Args:
        name: a key of `PRESETS`.
        task: ``sr-x2`` and its like set the scale; any other task keeps the image's size.

    Raises:
        ArchitectureError: there is no such preset.
    """
    system = _find(name, task)
    return _for_channels(system.design(system.width, system.depth, scale_of(task)), task)


def shrink(name: str, fits: Callable[[Architecture], bool], task: str = "sr-x2") -> Architecture:
    """Return the largest network of a paper's design, up to the published size, that `fits`.

    Width and depth shrink together, at the published proportion, until the network fits; then
    depth and width grow again one step at a time as long as it still does. One more block, or one
    more step of width, would not fit. Heads, windows and ratios stay the paper's.

    Args:
        name: a key of `PRESETS`.
        fits: whether a network is small enough; a smaller one must fit when a larger one does.
        task: as in `preset`.

    Raises:
        ArchitectureError: there is no such preset, or not even its smallest network fits.
    """
    system, scale = _find(name, task), scale_of(task)
    steps = system.width // system.width_step

    def at(step: int, depth: int) -> Architecture:
        return _for_channels(system.design(step * system.width_step, depth, scale), task)

    def fits_at(step: int, depth: int) -> bool:
        return step <= steps and depth <= system.depth and fits(at(step, depth))

    if not fits_at(1, 1):
        raise ArchitectureError(
            f"not even the smallest {name} (width {system.width_step}, depth 1) fits; "
            "allow a larger budget"
        )
    # the first step may stand for more than one block; a single block is known to fit
    depths = [1, *(max(1, round(system.depth * step / steps)) for step in range(1, steps + 1))]
    number = _last(lambda number: fits_at(max(1, number), depths[number]), len(depths))
    step, depth = max(1, number), depths[number]
    while True:
        deeper = fits_at(step, depth + 1)
        depth += deeper
        wider = fits_at(step + 1, depth)
        step += wider
        if not (deeper or wider):
            return at(step, depth)


def _last(holds: Callable[[int], bool], count: int) -> int:
    """Find the last of 0 .. count − 1 that holds, if 0 does and none follows one that does not."""
    low, high = 0, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def scale_of(task: str) -> int:
    """Return the enlargement that a task's name asks for: 3 for ``sr-x3``, 1 for ``denoise:15``."""
    match = re.fullmatch(r"sr-x(\d+)(,gray)?", task)
    return int(match[1]) if match else 1


def _for_channels(architecture: Architecture, task: str) -> Architecture:
    """With one channel at both ends for a gray task; colour means are of no use there."""
    if not task.endswith(",gray"):
        return architecture
    return replace(architecture, in_channels=1, out_channels=1, normalisation="none")


def _find(name: str, task: str) -> Preset:
    if name not in PRESETS:
        raise ArchitectureError(
            f"there is no preset {name!r}{nearest(name, PRESETS)}; use one of {', '.join(PRESETS)}"
        )
    system = PRESETS[name]
    return system.same_size if system.same_size and scale_of(task) == 1 else system
