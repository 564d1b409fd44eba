"""The architecture of a network as one plain value: frozen, validated, JSON both ways, no torch.

    Architecture = stem, stages, body, tail
    Stage        = blocks (in order, `recursions` times), anchor, closing, skip, cross-layer slot
    Block        = x + mixer(x), then x + feed_forward(x), with a norm before or after each branch

Equal architectures build equal modules and have equal ids. Every published system that LightIR
knows (`lightir_core/published/presets.py`) is one value of this type, and so is every pruned
network: inner widths are numbers of each block. Rules that tie several fields together
(divisibility and the like) live here, those of one block in `lightir_core/block_config.py`.
"""

import hashlib
import json
import math
from dataclasses import fields, replace
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from lightir_core.block_config import (
    POSITIONS,
    CascadeAttentionConfig,
    ChannelBranchConfig,
    Count,
    DepthwiseMlpConfig,
    DsgmConfig,
    ExponentialPositionConfig,
    FeedForward,
    Mixer,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    TablePositionConfig,
    WindowAttentionConfig,
    counted,
    divisors,
    explain,
    inner_dims,
    settings,
)
from lightir_core.errors import ArchitectureError

__all__ = [
    "POSITIONS",
    "Architecture",
    "BlockConfig",
    "BodyConfig",
    "CascadeAttentionConfig",
    "ChannelBranchConfig",
    "CrossLayerConfig",
    "DepthwiseMlpConfig",
    "DsgmConfig",
    "ExponentialPositionConfig",
    "FeedForward",
    "Mixer",
    "MlpConfig",
    "ProjectionConfig",
    "ResidualConvolutionConfig",
    "StageConfig",
    "StemConfig",
    "TablePositionConfig",
    "TailConfig",
    "WindowAttentionConfig",
    "counted",
    "divisors",
    "from_json",
    "from_plain",
    "inner_dims",
]

FORMAT = "lightir-architecture"
VERSION = 1


@settings
class BlockConfig:
    """One residual mixer and one residual feed-forward; `norm` is where LayerNorm stands."""

    mixer: Annotated[Mixer, Field(discriminator="kind")]
    feed_forward: Annotated[FeedForward, Field(discriminator="kind")] | None = None
    norm: Literal["pre", "post", "none"] = "pre"


@settings
class CrossLayerConfig:
    """Cross-layer attention after a stage (ACLA): `keys` K per reference, `references` L.

    References are the outputs, before attention, of the last L slots, the stem's included.
    `selection` none is CLA; soft and hard are ACLA with a soft or a binary gate per key.
    """

    keys: Count
    references: Count
    selection: Literal["none", "soft", "hard"] = "none"
    depthwise_tail: bool = False


@settings
class StageConfig:
    """Blocks applied in order, `recursions` times, then a closing convolution and a skip.

    Attributes:
        tied: all passes share one set of weights (DRT); otherwise each pass has its own.
        anchor: when the stage's input is added again: after every pass (DRT), the last, never.
        closing: the 3x3 convolution after the last pass.
        skip: "input" adds the stage's input (SwinIR), "output" bypasses only the closing
            convolution (GRFormer's released code).
        cross_layer: attention to earlier stages, applied to this stage's output.
    """

    blocks: tuple[BlockConfig, ...]
    recursions: Annotated[int, Field(ge=1, le=16)] = 1
    tied: bool = True
    anchor: Literal["every", "last", "none"] = "none"
    closing: Literal["convolution", "depthwise", "none"] = "convolution"
    skip: Literal["input", "output", "none"] = "input"
    cross_layer: CrossLayerConfig | None = None

    def __post_init__(self) -> None:
        """Refuse empty stages and settle what has two spellings."""
        if not self.blocks:
            raise ArchitectureError("a stage has no blocks; give it at least one")
        if self.skip == "output" and self.closing == "none":
            raise ArchitectureError(
                "skip='output' bypasses the closing convolution, but closing='none'; "
                "choose a closing convolution or skip='input'"
            )
        if self.recursions == 1:  # one pass: "last" is "every", and there is nothing to tie
            object.__setattr__(self, "tied", True)
            if self.anchor == "last":
                object.__setattr__(self, "anchor", "every")

    @cached_property
    def window_multiple(self) -> int:
        """Sides of the stage's feature map are multiples of this: of the sides of all windows."""
        windows = [block.mixer.window_size or () for block in self.blocks]
        return math.lcm(*(side for window in windows for side in window))

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, f.name) for f in fields(self)))

    def __hash__(self) -> int:
        """Hash of all fields, computed once: pricing looks stages up by value."""
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """All but the remembered hash: another process hashes words differently."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}


@settings
class StemConfig:
    """First layer: a 3x3 convolution, or with `kernel_size == patch_size` a patch embedding (DRT).

    `norm` puts a LayerNorm on the trunk's input, not on the global skip (SwinIR).
    """

    kernel_size: Literal[1, 2, 3, 4] = 3
    patch_size: Literal[1, 2, 4] = 1
    norm: bool = False


@settings
class BodyConfig:
    """What closes the trunk: LayerNorm, 3x3 convolution, the stem's output added."""

    norm: bool = True
    closing: Literal["convolution", "none"] = "convolution"
    skip: bool = True


@settings
class TailConfig:
    """From features to the image.

    Attributes:
        upsampler: "direct" is one convolution and a pixel shuffle (light networks); "staged"
            widens and shuffles per factor before a last convolution (EDSR).
        skip: "interpolated" adds the bicubically enlarged input (the input itself at scale 1),
            with the last convolution starting at zero: an untrained network is the interpolation.
    """

    upsampler: Literal["direct", "staged"] = "direct"
    skip: Literal["none", "interpolated"] = "none"


@settings
class Architecture:
    """A network, described. Equal architectures build equal modules.

    `stage_sharing=g` lets g consecutive stages, equal but for their cross-layer slots, use one
    set of weights (DRT's sharing scope beyond a stage).
    """

    width: Annotated[int, Field(ge=1, le=4096)]
    stages: tuple[StageConfig, ...]
    in_channels: Count = 3
    out_channels: Count = 3
    scale: Annotated[int, Field(ge=1, le=8)] = 1
    normalisation: Literal["none", "div2k", "imagenet"] = "none"
    stem: StemConfig = StemConfig()
    body: BodyConfig = BodyConfig()
    tail: TailConfig = TailConfig()
    stage_sharing: Count = 1

    def __post_init__(self) -> None:
        """Check the rules that tie fields together and settle what has two spellings."""
        if not self.stages:
            raise ArchitectureError("the architecture has no stages; give it at least one")
        object.__setattr__(
            self, "stages", tuple(_settled_stage(stage, self.width) for stage in self.stages)
        )
        for number, stage in enumerate(self.stages):
            _check_stage(stage, number, self.width)
        _check_skeleton(self)

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of the canonical JSON."""
        canonical = json.dumps(self.to_plain(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @cached_property
    def window_multiple(self) -> int:
        """Sides of the padded input are multiples of this: all windows times the patch size."""
        return math.lcm(*(stage.window_multiple for stage in self.stages)) * self.stem.patch_size

    def to_plain(self) -> dict[str, Any]:
        """Nested dicts and lists, ready for `json.dumps`; `from_plain` is its inverse."""
        return {"format": FORMAT, "version": VERSION, **_ADAPTER.dump_python(self, mode="json")}

    def to_json(self) -> str:
        """Return the architecture as indented JSON text."""
        return json.dumps(self.to_plain(), indent=2) + "\n"


_ADAPTER: TypeAdapter[Architecture] = TypeAdapter(Architecture)


def from_plain(data: object) -> Architecture:
    """Read what `Architecture.to_plain` wrote.

    Raises:
        ArchitectureError: not such a value, another version, or an impossible network; the
            message names the place and, for an unknown key, the nearest known one.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ArchitectureError(f"not an architecture: expected an object with format={FORMAT!r}")
    version = data.get("version")
    if version != VERSION:
        raise ArchitectureError(
            f"architecture version {version!r} is not known; this LightIR reads version {VERSION}"
            + ("; update LightIR" if isinstance(version, int) and version > VERSION else "")
        )
    body = {key: value for key, value in data.items() if key not in ("format", "version")}
    try:
        return _ADAPTER.validate_json(json.dumps(body))
    except ValidationError as error:
        schema = _ADAPTER.json_schema()
        described = (schema, *schema["$defs"].values())
        keys = {key for one in described for key in one.get("properties", {})}
        raise ArchitectureError(explain(error, keys)) from None


def from_json(text: str) -> Architecture:
    """Read the text that `Architecture.to_json` wrote; errors as `from_plain`."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ArchitectureError(f"not JSON: {error}") from None
    return from_plain(data)


def _settled_stage(stage: StageConfig, width: int) -> StageConfig:
    """Return the stage with explicit inner widths that equal the default written as None."""
    blocks = tuple(replace(b, mixer=b.mixer.settled(width)) for b in stage.blocks)
    return stage if blocks == stage.blocks else replace(stage, blocks=blocks)


def _check_stage(stage: StageConfig, number: int, width: int) -> None:
    where = f"stages.{number}"
    for index, block in enumerate(stage.blocks):
        block.mixer.check(width, f"{where}.blocks.{index}.mixer")
    cross = stage.cross_layer
    if cross is not None and cross.references > number + 1:
        raise ArchitectureError(
            f"{where}.cross_layer: references={cross.references}, but only {number + 1} earlier "
            f"outputs exist there; use at most {number + 1}"
        )


def _check_skeleton(architecture: Architecture) -> None:
    _check_stem(architecture.stem)
    tail = architecture.tail
    if tail.upsampler == "staged" and architecture.scale not in (1, 2, 3, 4, 8):
        raise ArchitectureError(
            f"tail: a staged upsampler knows scales 1, 2, 3, 4, 8, not {architecture.scale}"
        )
    if tail.skip == "interpolated" and architecture.in_channels != architecture.out_channels:
        raise ArchitectureError(
            f"tail: an interpolated skip needs as many input as output channels, got "
            f"{architecture.in_channels} and {architecture.out_channels}"
        )
    channels = (architecture.in_channels, architecture.out_channels)
    if architecture.normalisation != "none" and channels != (3, 3):
        raise ArchitectureError(
            f"normalisation={architecture.normalisation!r} is for 3 channels in and out, got "
            f"{channels[0]} and {channels[1]}; use normalisation='none'"
        )
    _check_sharing(architecture)


def _check_stem(stem: StemConfig) -> None:
    if stem.patch_size > 1 and stem.kernel_size != stem.patch_size:
        raise ArchitectureError(
            f"stem: patch_size={stem.patch_size} needs kernel_size={stem.patch_size}, "
            f"got {stem.kernel_size}"
        )
    if stem.patch_size == 1 and stem.kernel_size not in (1, 3):
        raise ArchitectureError(f"stem: kernel_size={stem.kernel_size} needs an equal patch_size")


def _check_sharing(architecture: Architecture) -> None:
    group = architecture.stage_sharing
    for number, stage in enumerate(architecture.stages):
        leader = architecture.stages[number - number % group]
        if replace(stage, cross_layer=None) != replace(leader, cross_layer=None):
            raise ArchitectureError(
                f"stage_sharing={group}: stage {number} differs from stage "
                f"{number - number % group}, whose weights it should use; make them equal"
            )
