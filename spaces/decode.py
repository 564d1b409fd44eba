"""The vocabulary of dimensions: what each can hold, what fits beside it, and what it builds.

A dimension that a space leaves out has the default below. Values are strings, numbers and
booleans, so that a point is JSON and any optimiser can hold it.

The architecture itself refuses what these rules forbid (`lightir_core/architecture.py`); they are
here so that a space never proposes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, get_args

from lightir_core.architecture import (
    POSITIONS,
    Architecture,
    BlockConfig,
    BodyConfig,
    CrossLayerConfig,
    FeedForward,
    Mixer,
    StageConfig,
    TailConfig,
)
from lightir_core.errors import SpaceError, nearest

Value = str | int | float | bool
"""Of a choice: a point is JSON, and any optimiser can hold it."""


@dataclass(frozen=True)
class Rule:
    """Says whether a value is allowed beside the choices that were made before.

    Attributes:
        reads: names of the choices that the answer depends on.
        allows: from a value and those choices to the answer.
    """

    reads: tuple[str, ...]
    allows: Callable[[Value, Mapping[str, Value]], bool]


def divides(whole: str) -> Rule:
    """Return the rule that a value divides another choice, for instance heads the width."""
    return Rule((whole,), lambda value, known: int(known[whole]) % int(value) == 0)


def at_most(limit: str) -> Rule:
    """Return the rule that a value is no larger than another choice."""
    return Rule((limit,), lambda value, known: int(value) <= int(known[limit]))


RULES: dict[str, Rule] = {
    "stage_sharing": at_most("stages"),  # more is the same network under another name
    "heads": divides("width"),
    "groups": divides("width"),
    "channel_heads": divides("width"),
    "cross_references": at_most("stage"),  # only so many earlier outputs exist
    # skip="output" bypasses the closing convolution, so there must be one
    "skip": Rule(
        ("closing",),
        lambda value, known: value != "output" or known.get("closing", "convolution") != "none",
    ),
}

Option = TypeVar("Option", bound=str)

NETWORK_DEFAULTS: dict[str, Value] = {
    "width": 48,
    "stages": 2,
    "stage_sharing": 1,
    "body_norm": True,
    "tail_skip": "interpolated",
}

STAGE_DEFAULTS: dict[str, Value] = {
    "blocks": 2,
    "mixer": "window",
    "heads": 4,
    "window": "8x8",
    "transpose": False,
    "shift": "alternate",
    "groups": 1,
    "logits": "dot",
    "position": "table",
    "channel": False,
    "channel_heads": 1,
    "depthwise_value": False,
    "key_dim": 16,
    "feed_forward": "mlp",
    "ratio": 2.0,
    "norm": "pre",
    "recursions": 1,
    "recursion_weights": "tied",
    "closing": "convolution",
    "skip": "input",
    "cross_keys": 0,
    "cross_references": 1,
    "cross_selection": "none",
}

MIXERS: dict[str, type[Mixer]] = {mixer.word: mixer for mixer in get_args(Mixer)}
FEED_FORWARDS: dict[str, type[FeedForward]] = {kind.kind: kind for kind in get_args(FeedForward)}

OPTIONS: dict[str, tuple[str, ...]] = {
    "tail_skip": ("interpolated", "none"),
    "mixer": tuple(MIXERS),
    "shift": ("alternate", "none"),
    "logits": ("dot", "cosine"),
    "position": tuple(POSITIONS),
    "feed_forward": (*FEED_FORWARDS, "none"),
    "norm": ("pre", "post"),
    "recursion_weights": ("tied", "untied"),
    "closing": ("convolution", "depthwise", "none"),
    "skip": ("input", "output", "none"),
    "cross_selection": ("none", "soft", "hard"),
}

# name -> smallest and largest whole number; 1 and no end for the others
RANGES: dict[str, tuple[int, int]] = {
    "width": (1, 4096),
    "recursions": (1, 16),
    "cross_keys": (0, 10**6),
}

WINDOW_SIDES_PX = (2, 256)


@dataclass(frozen=True)
class TaskShape:
    """What the task fixes about a network: channels in and out, and the scale factor."""

    scale: int = 1
    in_channels: int = 3
    out_channels: int = 3


def decode_network(choices: Mapping[str, Value], shape: TaskShape) -> Architecture:
    """Build the architecture that `choices` stand for.

    Raises:
        ArchitectureError: the choices contradict each other; those of a `Space` never do.
    """
    network = NETWORK_DEFAULTS | {k: v for k, v in choices.items() if "." not in k}
    sharing = int(network["stage_sharing"])
    stages = tuple(
        _stage(_stage_choices(choices, number - (number - 1) % sharing), int(network["width"]))
        for number in range(1, int(network["stages"]) + 1)
    )
    return Architecture(
        width=int(network["width"]),
        stages=stages,
        scale=shape.scale,
        in_channels=shape.in_channels,
        out_channels=shape.out_channels,
        body=BodyConfig(norm=bool(network["body_norm"])),
        tail=TailConfig(skip="interpolated" if network["tail_skip"] == "interpolated" else "none"),
        stage_sharing=sharing,
    )


def decode_stage(choices: Mapping[str, Value], width: int) -> StageConfig:
    """Build one stage of a network of `width` channels, from its own choices without prefix.

    Raises:
        ArchitectureError: the choices contradict each other; those of a `Space` never do.
    """
    return _stage(tuple(choices.items()), width)


def _stage_choices(choices: Mapping[str, Value], number: int) -> tuple[tuple[str, Value], ...]:
    """Return the choices of one stage, in a form that can be a key."""
    prefix = f"stage{number}."
    return tuple(
        (name.removeprefix(prefix), value)
        for name, value in choices.items()
        if name.startswith(prefix)
    )


@lru_cache(maxsize=65536)
def _stage(chosen: tuple[tuple[str, Value], ...], width: int) -> StageConfig:
    """Build one stage; equal choices give the same object, which makes pricing a look-up."""
    c = STAGE_DEFAULTS | dict(chosen)
    recursions = int(c["recursions"])
    return StageConfig(
        blocks=tuple(_block(c, width, index) for index in range(int(c["blocks"]))),
        recursions=recursions,
        tied=c["recursion_weights"] == "tied",
        anchor="every" if recursions > 1 else "none",
        closing=_one_of(c["closing"], ("convolution", "depthwise", "none")),
        skip=_one_of(c["skip"], ("input", "output", "none")),
        cross_layer=_cross_layer(c),
    )


def _block(c: Mapping[str, Value], width: int, index: int) -> BlockConfig:
    mixer = _mixer(c, index)
    if mixer.alone:
        return BlockConfig(mixer=mixer, norm="none")
    return BlockConfig(
        mixer=mixer,
        feed_forward=_feed_forward(c, width),
        norm="post" if c["norm"] == "post" else "pre",
    )


def _mixer(c: Mapping[str, Value], index: int) -> Mixer:
    height, width = parse_window(str(c["window"]))
    if c["transpose"] and (index // 2) % 2:
        height, width = width, height
    shifted = c["shift"] == "alternate" and index % 2 == 1
    shift = (height // 2, width // 2) if shifted else (0, 0)
    return MIXERS[str(c["mixer"])].choose(c, (height, width), shift)


def _feed_forward(c: Mapping[str, Value], width: int) -> FeedForward | None:
    kind = str(c["feed_forward"])
    if kind == "none":
        return None
    return FEED_FORWARDS[kind](hidden_dim=max(1, round(width * float(c["ratio"]))))


def _cross_layer(c: Mapping[str, Value]) -> CrossLayerConfig | None:
    if not c["cross_keys"]:
        return None
    return CrossLayerConfig(
        keys=int(c["cross_keys"]),
        references=int(c["cross_references"]),
        selection=_one_of(c["cross_selection"], ("none", "soft", "hard")),
    )


def parse_window(text: str) -> tuple[int, int]:
    """Read `"4x16"` as (height, width) in pixels.

    Raises:
        SpaceError: the text is not two whole numbers joined by x.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise SpaceError(f"window {text!r} is not HEIGHTxWIDTH; write for example 8x8 or 4x16")
    return int(parts[0]), int(parts[1])


def check_value(name: str, value: Value) -> None:
    """Make sure that the dimension `name` can hold `value`.

    Raises:
        SpaceError: the value is of another kind, out of range or an unknown word.
    """
    default = (NETWORK_DEFAULTS | STAGE_DEFAULTS)[name]
    if name in OPTIONS:
        if value not in OPTIONS[name]:
            hint = nearest(str(value), OPTIONS[name])
            raise SpaceError(f"{name}={value!r} is not known{hint}; use {', '.join(OPTIONS[name])}")
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise SpaceError(f"{name}={value!r} is neither true nor false")
    elif isinstance(default, int):
        _check_count(name, value)
    elif isinstance(default, float):
        if isinstance(value, bool | str) or not 0 < value < float("inf"):
            raise SpaceError(f"{name}={value!r} is not a positive number")
    else:
        _check_window(name, value)


def _check_count(name: str, value: Value) -> None:
    least, most = RANGES.get(name, (1, 10**6))
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SpaceError(f"{name}={value!r} is not a whole number from {least} to {most}")


def _check_window(name: str, value: Value) -> None:
    least, most = WINDOW_SIDES_PX
    if not all(least <= side <= most for side in parse_window(str(value))):
        raise SpaceError(f"{name}={value!r} has a side that is not from {least} to {most} px")


def _one_of(value: Value, known: tuple[Option, ...]) -> Option:
    """Return `value` as one of the known words."""
    for word in known:
        if value == word:
            return word
    raise SpaceError(f"{value!r} is not one of {list(known)}")
