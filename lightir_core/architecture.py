"""The architecture of a network as one plain value: frozen, validated, JSON both ways, no torch.

    Architecture = stem, stages, body, tail
    Stage        = blocks (in order, `recursions` times), anchor, closing, skip, cross-layer slot
    Block        = x + mixer(x), then x + feed_forward(x), with a norm before or after each branch

Equal architectures build equal modules and have equal ids. Every published system that LightIR
knows (`lightir_core/published/presets.py`) is one value of this type, and so is every pruned
network: inner widths are numbers of each block. Rules that tie several fields together
(divisibility and the like) live in this file and nowhere else.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lightir_core.errors import ArchitectureError, nearest

FORMAT = "lightir-architecture"
VERSION = 1

Count = Annotated[int, Field(ge=1)]
Side = tuple[Annotated[int, Field(ge=2, le=256)], Annotated[int, Field(ge=2, le=256)]]
Shift = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
# Left out of the JSON where it holds, so that architectures without the switch keep their ids.
_Biased = Annotated[bool, Field(exclude_if=bool)]

_STRICT = ConfigDict(extra="forbid", strict=True)
Settings = TypeVar("Settings")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(fields_of: type[Settings]) -> type[Settings]:
    """Make a class a strict frozen dataclass whose constructor raises ArchitectureError."""
    made: Any = dataclass(frozen=True, kw_only=True, config=_STRICT)(fields_of)
    construct = made.__init__

    @functools.wraps(construct)
    def __init__(self: Settings, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, N807
        try:
            construct(self, *args, **kwargs)
        except ValidationError as error:
            raise ArchitectureError(explain(error)) from None

    made.__init__ = __init__
    return made


@settings
class ProjectionConfig:
    """A linear map of channels in `groups` diagonal blocks, plus identity if `residual`.

    `groups=2, residual=True` is the grouped residual layer (GRL) of GRFormer, section 3.2.
    """

    groups: Count = 1
    residual: bool = False
    bias: bool = True


@settings
class TablePositionConfig:
    """A learned table of relative positions, one column per head (Swin Transformer)."""

    kind: Literal["table"] = "table"


@settings
class ExponentialPositionConfig:
    """ES-RPB: an MLP over exponentially mapped offsets (GRFormer); `hidden` is its width M."""

    kind: Literal["exponential"] = "exponential"
    hidden: Count = 128


Position = TablePositionConfig | ExponentialPositionConfig


@settings
class ChannelBranchConfig:
    """Channel-wise attention over the same q, k, v (Compacter's CASA).

    `interaction` lets the sigmoid of each branch gate the other one.
    """

    num_heads: Count = 1
    interaction: bool = True


@settings
class WindowAttentionConfig:
    """Attention inside (shifted) windows; the switches cover SwinIR, GRFormer, DRT and Compacter.

    `key_dim` and `value_dim` are widths per head; None means width // num_heads. `depthwise_bias`
    is that of the depth-wise convolution on the values.
    """

    kind: Literal["window_attention"] = "window_attention"
    num_heads: Count
    window_size: Side
    shift_size: Shift = (0, 0)
    key_dim: Count | None = None
    value_dim: Count | None = None
    projection: ProjectionConfig = ProjectionConfig()
    output: ProjectionConfig = ProjectionConfig()
    logits: Literal["dot", "cosine"] = "dot"
    position: Annotated[Position, Field(discriminator="kind")] | None = TablePositionConfig()
    channel: ChannelBranchConfig | None = None
    depthwise_value: bool = False
    depthwise_bias: _Biased = True

    def __post_init__(self) -> None:
        """Settle the shift: whole windows only renumber the windows."""
        object.__setattr__(self, "shift_size", _settled_shift(self.shift_size, self.window_size))


@settings
class CascadeAttentionConfig:
    """GSWA (AgileIR): one head per channel group, each fed with the output of the one before it.

    `key_dim` is the free width of queries and keys per head; values keep width // num_heads.
    """

    kind: Literal["cascade_attention"] = "cascade_attention"
    num_heads: Count
    key_dim: Count
    window_size: Side
    shift_size: Shift = (0, 0)
    masked: bool = True
    cascade: bool = True

    def __post_init__(self) -> None:
        """Settle the shift: whole windows only renumber the windows."""
        object.__setattr__(self, "shift_size", _settled_shift(self.shift_size, self.window_size))


@settings
class ResidualConvolutionConfig:
    """EDSR's residual block: convolution, ReLU, convolution. `hidden_dim=None` means the width."""

    kind: Literal["residual_convolution"] = "residual_convolution"
    hidden_dim: Count | None = None
    kernel_size: Literal[3, 5] = 3


Mixer = WindowAttentionConfig | CascadeAttentionConfig | ResidualConvolutionConfig


@settings
class MlpConfig:
    """Linear, GELU, Linear."""

    kind: Literal["mlp"] = "mlp"
    hidden_dim: Count


@settings
class DepthwiseMlpConfig:
    """GRFormer's feed-forward: an MLP with two depth-wise convolutions as a residual inside."""

    kind: Literal["depthwise_mlp"] = "depthwise_mlp"
    hidden_dim: Count


@settings
class DsgmConfig:
    """Compacter's dual selective gating module; `reading` settles what its figure leaves open.

    `bias` is that of its linear layers and of its convolutions.
    """

    kind: Literal["dsgm"] = "dsgm"
    hidden_dim: Count
    reading: Literal["cross", "literal", "single"] = "cross"
    bias: _Biased = True


FeedForward = MlpConfig | DepthwiseMlpConfig | DsgmConfig


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
        sides = [
            side
            for block in self.blocks
            if not isinstance(block.mixer, ResidualConvolutionConfig)
            for side in block.mixer.window_size
        ]
        return math.lcm(*sides)

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
            _check_stage(stage, number, self)
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
        """The architecture as indented JSON text."""
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
        raise ArchitectureError(explain(error)) from None


def from_json(text: str) -> Architecture:
    """Read the text that `Architecture.to_json` wrote; errors as `from_plain`."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ArchitectureError(f"not JSON: {error}") from None
    return from_plain(data)


def explain(error: ValidationError) -> str:
    """What is wrong with an impossible architecture: the first problem, with its place."""
    unknown = ("unexpected_keyword_argument", "extra_forbidden")
    problems = error.errors()
    # a misspelt key is also a missing one; the spelling is what helps
    first = next((problem for problem in problems if problem["type"] in unknown), problems[0])
    place = ".".join(str(part) for part in first["loc"]) or "architecture"
    if first["type"] in unknown:
        key = str(first["loc"][-1])
        return f"{place}: unknown key {key!r}{nearest(key, _KNOWN_KEYS)}"
    if "ctx" in first and isinstance(first["ctx"].get("error"), Exception):
        return f"{place}: {first['ctx']['error']}"
    return f"{place}: {first['msg']} (got {first['input']!r:.80})"


_KNOWN_KEYS = tuple(
    f.name for part in list(globals().values()) if is_dataclass(part) for f in fields(part)
)


def divisors(number: int) -> list[int]:
    """Divisors of `number` in rising order."""
    return [d for d in range(1, number + 1) if number % d == 0]


def inner_dims(mixer: WindowAttentionConfig, width: int) -> tuple[int, int]:
    """Widths of one head's keys and values, with None read as width // num_heads."""
    default = width // mixer.num_heads
    return mixer.key_dim or default, mixer.value_dim or default


def _settled_shift(shift: Shift, window: Side) -> Shift:
    return shift[0] % window[0], shift[1] % window[1]


def _settled_stage(stage: StageConfig, width: int) -> StageConfig:
    """The stage with explicit inner widths that equal the default written as None."""
    blocks = tuple(_settled_block(block, width) for block in stage.blocks)
    return stage if blocks == stage.blocks else replace(stage, blocks=blocks)


def _settled_block(block: BlockConfig, width: int) -> BlockConfig:
    mixer = block.mixer
    if isinstance(mixer, ResidualConvolutionConfig) and mixer.hidden_dim == width:
        return replace(block, mixer=replace(mixer, hidden_dim=None))
    if isinstance(mixer, WindowAttentionConfig) and width % mixer.num_heads == 0:
        default = width // mixer.num_heads
        key_dim = None if mixer.key_dim == default else mixer.key_dim
        value_dim = None if mixer.value_dim == default else mixer.value_dim
        if (key_dim, value_dim) != (mixer.key_dim, mixer.value_dim):
            return replace(block, mixer=replace(mixer, key_dim=key_dim, value_dim=value_dim))
    return block


def _check_stage(stage: StageConfig, number: int, architecture: Architecture) -> None:
    place = f"stages.{number}"
    for index, block in enumerate(stage.blocks):
        _check_mixer(block.mixer, architecture.width, f"{place}.blocks.{index}.mixer")
    cross = stage.cross_layer
    if cross is not None and cross.references > number + 1:
        raise ArchitectureError(
            f"{place}.cross_layer: references={cross.references}, but only {number + 1} earlier "
            f"outputs exist there; use at most {number + 1}"
        )


def _check_mixer(mixer: Mixer, width: int, place: str) -> None:
    if isinstance(mixer, WindowAttentionConfig):
        _check_window_attention(mixer, width, place)
    elif isinstance(mixer, CascadeAttentionConfig) and width % mixer.num_heads:
        raise ArchitectureError(_indivisible(place, "num_heads", mixer.num_heads, "width", width))


def _check_window_attention(mixer: WindowAttentionConfig, width: int, place: str) -> None:
    if (mixer.key_dim is None or mixer.value_dim is None) and width % mixer.num_heads:
        raise ArchitectureError(_indivisible(place, "num_heads", mixer.num_heads, "width", width))
    key_dim, value_dim = inner_dims(mixer, width)
    inner = {"keys": mixer.num_heads * key_dim, "values": mixer.num_heads * value_dim}
    for name, size in inner.items():
        if mixer.projection.residual and size != width:
            raise ArchitectureError(
                f"{place}: a residual projection needs {name} as wide as the network "
                f"({width}), got {size}; use residual=False or width {size}"
            )
        _check_groups(mixer.projection, width, size, f"{place}.projection ({name})")
    if mixer.output.residual and inner["values"] != width:
        raise ArchitectureError(f"{place}.output: a residual needs values {width} wide")
    _check_groups(mixer.output, inner["values"], width, f"{place}.output")
    if mixer.channel is not None:
        _check_channel(mixer.channel, mixer.num_heads, key_dim, value_dim, place)


def _check_channel(
    channel: ChannelBranchConfig, num_heads: int, key_dim: int, value_dim: int, place: str
) -> None:
    if key_dim != value_dim:
        raise ArchitectureError(
            f"{place}: the channel branch needs key_dim == value_dim, got {key_dim} and {value_dim}"
        )
    inner = num_heads * key_dim
    if inner % channel.num_heads:
        raise ArchitectureError(
            _indivisible(place, "channel.num_heads", channel.num_heads, "inner width", inner)
        )


def _check_groups(projection: ProjectionConfig, inputs: int, outputs: int, place: str) -> None:
    for name, size in (("inputs", inputs), ("outputs", outputs)):
        if size % projection.groups:
            raise ArchitectureError(_indivisible(place, "groups", projection.groups, name, size))


def _indivisible(place: str, name: str, value: int, whole_name: str, whole: int) -> str:
    return (
        f"{place}: {name}={value} does not divide {whole_name}={whole}; use one of "
        f"{divisors(whole)}"
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
