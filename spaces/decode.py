"""From choices to an architecture: the vocabulary of dimensions and what each value builds.

A dimension that a space leaves out has the default below. Values are strings, numbers and
booleans, so that a point is JSON and any optimiser can hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, get_args

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    BodyConfig,
    CrossLayerConfig,
    FeedForward,
    Mixer,
    StageConfig,
    TailConfig,
)
from lightir_core.errors import SpaceError

Value = str | int | float | bool
Word = TypeVar("Word", bound=str)

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


@dataclass(frozen=True)
class TaskShape:
    """What the task fixes about a network: channels in and out, and the scale factor."""

    scale: int = 1
    in_channels: int = 3
    out_channels: int = 3


def decode_network(choices: Mapping[str, Value], shape: TaskShape) -> Architecture:
    """The architecture that `choices` stand for.

    Raises:
        ArchitectureError: the choices contradict each other; those of a `Space` never do.
    """
    return _architecture(choices, shape)


def decode_stage(choices: Mapping[str, Value], width: int) -> StageConfig:
    """One stage of a network of `width` channels, from its own choices without prefix.

    Raises:
        ArchitectureError: the choices contradict each other; those of a `Space` never do.
    """
    return _stage(tuple(choices.items()), width)


def _architecture(choices: Mapping[str, Value], shape: TaskShape) -> Architecture:
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


def _stage_choices(choices: Mapping[str, Value], number: int) -> tuple[tuple[str, Value], ...]:
    """The choices of one stage, in a form that can be a key."""
    prefix = f"stage{number}."
    return tuple(
        (name.removeprefix(prefix), value)
        for name, value in choices.items()
        if name.startswith(prefix)
    )


@lru_cache(maxsize=65536)
def _stage(chosen: tuple[tuple[str, Value], ...], width: int) -> StageConfig:
    """One stage; equal choices give the same object, which makes pricing a look-up."""
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
    """`"4x16"` as (height, width) in pixels.

    Raises:
        SpaceError: the text is not two whole numbers joined by x.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise SpaceError(f"window {text!r} is not HEIGHTxWIDTH; write for example 8x8 or 4x16")
    return int(parts[0]), int(parts[1])


def _one_of(value: Value, known: tuple[Word, ...]) -> Word:
    """`value` as one of the known words."""
    for word in known:
        if value == word:
            return word
    raise SpaceError(f"{value!r} is not one of {list(known)}")
