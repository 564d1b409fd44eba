"""What a block can be: the settings of mixers and feed-forwards, their rules and their words.

Plain frozen values without torch: an architecture holds them, a space chooses them, a report draws
them. What tensors they make, and which channels lie on these, is said in `lightir_core/blocks`.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from lightir_core.errors import ArchitectureError, nearest

Count = Annotated[int, Field(ge=1)]
Side = tuple[Annotated[int, Field(ge=2, le=256)], Annotated[int, Field(ge=2, le=256)]]
Shift = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
# Left out of the JSON where it holds, so that architectures without the switch keep their ids.
_Biased = Annotated[bool, Field(exclude_if=bool)]

Choices = Mapping[str, str | int | float | bool]
"""Values of a search space's axes for one stage; see `spaces.decode`."""

_STRICT = ConfigDict(extra="forbid", strict=True)
Settings = TypeVar("Settings")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(described: type[Settings]) -> type[Settings]:
    """Make a class a strict frozen dataclass whose constructor raises ArchitectureError."""
    made: Any = dataclass(frozen=True, kw_only=True, config=_STRICT)(described)
    construct = made.__init__

    @functools.wraps(construct)
    def __init__(self: Settings, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, N807
        try:
            construct(self, *args, **kwargs)
        except ValidationError as error:
            raise ArchitectureError(explain(error, made.__dataclass_fields__)) from None

    made.__init__ = __init__
    return made


def explain(error: ValidationError, known: Iterable[str]) -> str:
    """Return the first problem of an impossible architecture, with its place.

    Args:
        error: what pydantic found.
        known: keys that a misspelt one may have meant.
    """
    unknown = ("unexpected_keyword_argument", "extra_forbidden")
    problems = error.errors()
    # a misspelt key is also a missing one; the spelling is what helps
    first = next((problem for problem in problems if problem["type"] in unknown), problems[0])
    where = ".".join(str(part) for part in first["loc"]) or "architecture"
    if first["type"] in unknown:
        key = str(first["loc"][-1])
        return f"{where}: unknown key {key!r}{nearest(key, known)}"
    if "ctx" in first and isinstance(first["ctx"].get("error"), Exception):
        return f"{where}: {first['ctx']['error']}"
    return f"{where}: {first['msg']} (got {first['input']!r:.80})"


@settings
class ProjectionConfig:
    """A linear map of channels in `groups` diagonal blocks, plus identity if `residual`.

    `groups=2, residual=True` is the grouped residual layer (GRL) of GRFormer, section 3.2.
    """

    groups: Count = 1
    residual: bool = False
    bias: bool = True

    def check(self, inputs: int, outputs: int, where: str) -> None:
        """Make sure that the groups divide the channels."""
        for name, size in (("inputs", inputs), ("outputs", outputs)):
            if size % self.groups:
                raise ArchitectureError(indivisible(where, "groups", self.groups, name, size))

    def describe(self) -> str:
        """Return the map in words, such as ``grouped (g=2) residual``."""
        grouped = f"grouped (g={self.groups})" if self.groups > 1 else ""
        parts = (grouped, "residual" * self.residual, "bias-free" * (not self.bias))
        return " ".join(filter(None, parts)) or "dense"


@settings
class TablePositionConfig:
    """A learned table of relative positions, one column per head (Swin Transformer)."""

    kind: Literal["table"] = "table"
    description: ClassVar[str] = ""


@settings
class ExponentialPositionConfig:
    """ES-RPB: an MLP over exponentially mapped offsets (GRFormer); `hidden` is its width M."""

    kind: Literal["exponential"] = "exponential"
    hidden: Count = 128

    @property
    def description(self) -> str:
        """Return the bias in words."""
        return f"exponential-space position bias (M={self.hidden})"


Position = TablePositionConfig | ExponentialPositionConfig


@settings
class ChannelBranchConfig:
    """Channel-wise attention over the same q, k, v (Compacter's CASA).

    `interaction` lets the sigmoid of each branch gate the other one.
    """

    num_heads: Count = 1
    interaction: bool = True


class MixerConfig:
    """What the rest of the program asks of every mixer; a block answers where its answer differs.

    Attributes:
        word: how spaces call it, and which colour group it has in drawings.
        name: what it is, for a narrow column.
        alone: whether spaces put neither norm nor feed-forward beside it.
        recomputed: whether a training forgets what it computed and computes it again.
        window_size: sides of its windows, None where it has none.
    """

    word: ClassVar[str]
    name: ClassVar[str]
    alone: ClassVar[bool] = False
    recomputed: ClassVar[bool] = False
    window_size: Side | None = None

    @classmethod
    def choose(cls, choices: Choices, window: Side, shift: Shift) -> Self:
        """Return the settings that a space's `choices` stand for."""
        return cls()

    @property
    def reads_whole_map(self) -> bool:
        """Return whether a pixel's result depends on the whole map, so that tiles show."""
        return False

    def explicit(self, width: int) -> Self:
        """Return the settings with inner widths in figures where they follow the trunk's."""
        return self

    def settled(self, width: int) -> Self:
        """Return the settings with inner widths left out where they equal their default."""
        return self

    def check(self, width: int, where: str) -> None:
        """Raise ArchitectureError where a network of `width` channels cannot hold the mixer."""

    def unshifted(self) -> Self:
        """Return the settings without a shift: what blocks that alternate have in common."""
        return self

    def unmoved(self) -> Self:
        """Return settings whose windows are neither shifted nor turned, at the same cost."""
        return self

    def plain(self) -> Self:
        """Return the settings with no identity inside a projection, which pruning needs."""
        return self

    def describe(self, width: int) -> str:
        """Return the mixer in words."""
        return self.name

    def label(self) -> str:
        """Return the few letters that name it in a drawing."""
        return self.name

    def note(self, width: int) -> str | None:
        """Return what a drawing says in place of the feed-forward, if anything."""
        return None


@settings
class WindowedConfig(MixerConfig):
    """A mixer that works inside (shifted) windows."""

    num_heads: Count
    window_size: Side  # pyright: ignore[reportIncompatibleVariableOverride]  never None here
    shift_size: Shift = (0, 0)

    def __post_init__(self) -> None:
        """Settle the shift: whole windows only renumber the windows."""
        shift = tuple(s % side for s, side in zip(self.shift_size, self.window_size, strict=True))
        object.__setattr__(self, "shift_size", shift)

    def unshifted(self) -> Self:
        """Return the settings without a shift."""
        return replace(self, shift_size=(0, 0))

    def unmoved(self) -> Self:
        """Return the settings with a lying window that is not shifted: as many products."""
        short, long = sorted(self.window_size)
        return replace(self, window_size=(short, long), shift_size=(0, 0))

    def _check_heads(self, width: int, where: str) -> None:
        if width % self.num_heads:
            raise ArchitectureError(indivisible(where, "num_heads", self.num_heads, "width", width))


@settings
class WindowAttentionConfig(WindowedConfig):
    """Attention inside (shifted) windows; the switches cover SwinIR, GRFormer, DRT and Compacter.

    `key_dim` and `value_dim` are widths per head; None means width // num_heads. `depthwise_bias`
    is that of the depth-wise convolution on the values.
    """

    word: ClassVar[str] = "window"
    name: ClassVar[str] = "window attention"

    kind: Literal["window_attention"] = "window_attention"
    key_dim: Count | None = None
    value_dim: Count | None = None
    projection: ProjectionConfig = ProjectionConfig()
    output: ProjectionConfig = ProjectionConfig()
    logits: Literal["dot", "cosine"] = "dot"
    position: Annotated[Position, Field(discriminator="kind")] | None = TablePositionConfig()
    channel: ChannelBranchConfig | None = None
    depthwise_value: bool = False
    depthwise_bias: _Biased = True

    @classmethod
    def choose(cls, choices: Choices, window: Side, shift: Shift) -> Self:
        """Return the attention that a space's choices stand for; groups have the identity added."""
        groups, heads = int(choices["groups"]), int(choices["channel_heads"])
        return cls(
            num_heads=int(choices["heads"]),
            window_size=window,
            shift_size=shift,
            projection=ProjectionConfig(groups=groups, residual=groups > 1),
            output=ProjectionConfig(groups=groups),
            logits="cosine" if choices["logits"] == "cosine" else "dot",
            position=POSITIONS[str(choices["position"])],
            channel=ChannelBranchConfig(num_heads=heads) if choices["channel"] else None,
            depthwise_value=bool(choices["depthwise_value"]),
        )

    @property
    def reads_whole_map(self) -> bool:
        """Return whether there is a channel branch, which pools over its input."""
        return self.channel is not None

    def explicit(self, width: int) -> Self:
        """Return the settings with both widths per head in figures."""
        keys, values = inner_dims(self, width)
        return replace(self, key_dim=keys, value_dim=values)

    def settled(self, width: int) -> Self:
        """Return the settings with None for a width per head that is width // num_heads."""
        default, rest = divmod(width, self.num_heads)
        if rest or default not in (self.key_dim, self.value_dim):
            return self
        dims = (None if dim == default else dim for dim in (self.key_dim, self.value_dim))
        return replace(self, **dict(zip(("key_dim", "value_dim"), dims, strict=True)))

    def check(self, width: int, where: str) -> None:
        """Raise ArchitectureError where heads, groups and widths do not fit each other."""
        if self.key_dim is None or self.value_dim is None:
            self._check_heads(width, where)
        key_dim, value_dim = inner_dims(self, width)
        keys, values = self.num_heads * key_dim, self.num_heads * value_dim
        for name, size in (("keys", keys), ("values", values)):
            if self.projection.residual and size != width:
                raise ArchitectureError(
                    f"{where}: a residual projection needs {name} as wide as the network "
                    f"({width}), got {size}; use residual=False or width {size}"
                )
            self.projection.check(width, size, f"{where}.projection ({name})")
        if self.output.residual and values != width:
            raise ArchitectureError(f"{where}.output: a residual needs values {width} wide")
        self.output.check(values, width, f"{where}.output")
        if self.channel is None:
            return
        if key_dim != value_dim:
            raise ArchitectureError(
                f"{where}: the channel branch needs key_dim == value_dim, got {key_dim} and "
                f"{value_dim}"
            )
        if keys % self.channel.num_heads:
            heads = self.channel.num_heads
            raise ArchitectureError(
                indivisible(where, "channel.num_heads", heads, "inner width", keys)
            )

    def plain(self) -> Self:
        """Return the settings with projections that add no identity."""
        projection = replace(self.projection, residual=False)
        return replace(self, projection=projection, output=replace(self.output, residual=False))

    def describe(self, width: int) -> str:
        """Return the attention and all that is unusual about it in words."""
        return ", ".join(self._phrases(width))

    def _phrases(self, width: int) -> Iterator[str]:
        yield f"{self.name} {by(self.window_size)}"
        heads = counted(self.num_heads, "head")
        if self.key_dim is not None or self.value_dim is not None:
            keys, values = inner_dims(self, width)
            heads += f" (keys {keys}, values {values})"
        yield heads
        if self.projection != ProjectionConfig():
            yield f"{self.projection.describe()} projections"
        if self.output.groups > 1:
            yield f"{self.output.describe()} output"
        if self.logits == "cosine":
            yield "cosine logits"
        position = "no position bias" if self.position is None else self.position.description
        if position:
            yield position
        if self.channel is not None:
            yield f"channel branch of {counted(self.channel.num_heads, 'head')}"
        if self.depthwise_value:
            yield "depth-wise values"

    def label(self) -> str:
        """Return the paper's name of the attention, window and heads."""
        grouped = "GRSA" if self.projection.groups > 1 else "attn"
        name = grouped if self.channel is None else "CASA"
        return f"{name} {by(self.window_size)} {self.num_heads}h"


@settings
class CascadeAttentionConfig(WindowedConfig):
    """GSWA (AgileIR): one head per channel group, each fed with the output of the one before it.

    `key_dim` is the free width of queries and keys per head; values keep width // num_heads. The
    shift is always `masked`; the field is part of the file format.
    """

    word: ClassVar[str] = "cascade"
    name: ClassVar[str] = "cascade attention"
    recomputed: ClassVar[bool] = True

    kind: Literal["cascade_attention"] = "cascade_attention"
    key_dim: Count
    masked: Literal[True] = True
    cascade: bool = True

    @classmethod
    def choose(cls, choices: Choices, window: Side, shift: Shift) -> Self:
        """Return the cascade that a space's choices stand for."""
        heads, key_dim = int(choices["heads"]), int(choices["key_dim"])
        return cls(num_heads=heads, key_dim=key_dim, window_size=window, shift_size=shift)

    def check(self, width: int, where: str) -> None:
        """Raise ArchitectureError where the heads do not divide the width."""
        self._check_heads(width, where)

    def describe(self, width: int) -> str:
        """Return windows, heads and key width in words."""
        apart = "" if self.cascade else ", heads apart"
        heads = counted(self.num_heads, "head")
        return f"{self.name} {by(self.window_size)}, {heads} (keys {self.key_dim}){apart}"

    def label(self) -> str:
        """Return window and heads."""
        return f"GSWA {by(self.window_size)} {self.num_heads}h"


@settings
class ResidualConvolutionConfig(MixerConfig):
    """EDSR's residual block: convolution, ReLU, convolution. `hidden_dim=None` means the width."""

    word: ClassVar[str] = "convolution"
    name: ClassVar[str] = "convolution"
    alone: ClassVar[bool] = True

    kind: Literal["residual_convolution"] = "residual_convolution"
    hidden_dim: Count | None = None
    kernel_size: Literal[3, 5] = 3

    def explicit(self, width: int) -> Self:
        """Return the settings with the hidden width in figures."""
        return replace(self, hidden_dim=self.hidden_dim or width)

    def settled(self, width: int) -> Self:
        """Return the settings with None for a hidden width that is the trunk's."""
        return replace(self, hidden_dim=None) if self.hidden_dim == width else self

    def describe(self, width: int) -> str:
        """Return kernel and hidden width in words."""
        hidden = "" if self.hidden_dim is None else f" {self.hidden_dim} wide"
        return f"residual convolutions {self.kernel_size}×{self.kernel_size}{hidden}"

    def label(self) -> str:
        """Return the kernel."""
        return f"conv {self.kernel_size}×{self.kernel_size}"

    def note(self, width: int) -> str | None:
        """Return the hidden width."""
        return f"{self.hidden_dim or width} wide"


Mixer = WindowAttentionConfig | CascadeAttentionConfig | ResidualConvolutionConfig


class FeedForwardConfig:
    """What the rest of the program asks of every feed-forward.

    Attributes:
        name: what it is, in words.
        label: the letters that name it in a drawing.
    """

    name: ClassVar[str]
    label: ClassVar[str]


@settings
class MlpConfig(FeedForwardConfig):
    """Linear, GELU, Linear."""

    name: ClassVar[str] = "MLP"
    label: ClassVar[str] = "MLP"

    kind: Literal["mlp"] = "mlp"
    hidden_dim: Count


@settings
class DepthwiseMlpConfig(FeedForwardConfig):
    """GRFormer's feed-forward: an MLP with two depth-wise convolutions as a residual inside."""

    name: ClassVar[str] = "depth-wise MLP"
    label: ClassVar[str] = "DW-MLP"

    kind: Literal["depthwise_mlp"] = "depthwise_mlp"
    hidden_dim: Count


@settings
class DsgmConfig(FeedForwardConfig):
    """Compacter's dual selective gating module.

    `bias` is that of its linear layers and of its convolutions. `reading` is how its figure is
    read; the field is part of the file format.
    """

    name: ClassVar[str] = "gated DSGM"
    label: ClassVar[str] = "DSGM"

    kind: Literal["dsgm"] = "dsgm"
    hidden_dim: Count
    reading: Literal["cross"] = "cross"
    bias: _Biased = True


FeedForward = MlpConfig | DepthwiseMlpConfig | DsgmConfig

POSITIONS: dict[str, Position | None] = {
    "table": TablePositionConfig(),
    "exponential": ExponentialPositionConfig(),
    "none": None,
}
"""Position biases as spaces call them."""


def inner_dims(mixer: WindowAttentionConfig, width: int) -> tuple[int, int]:
    """Return the widths of one head's keys and values, with None read as width // num_heads."""
    default = width // mixer.num_heads
    return mixer.key_dim or default, mixer.value_dim or default


def divisors(number: int) -> list[int]:
    """Return the divisors of `number` in rising order."""
    return [d for d in range(1, number + 1) if number % d == 0]


def indivisible(where: str, name: str, value: int, whole_name: str, whole: int) -> str:
    """Return the message that a value does not divide a whole, with those that do."""
    return (
        f"{where}: {name}={value} does not divide {whole_name}={whole}; use one of "
        f"{divisors(whole)}"
    )


def by(side: tuple[int, int]) -> str:
    """Return a window in words, such as 8×16."""
    return f"{side[0]}×{side[1]}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it must be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
