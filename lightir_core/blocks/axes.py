"""What the axes of a block's tensors are: a table beside each module, for whoever cuts channels.

Every index of an axis belongs to a channel of one or more kinds: of the trunk (`width`), to a head,
to a head's keys or values, to a hidden layer. A linear map from the trunk to the keys of a few
heads is so

    {"q.weight": (keys, trunk), "q.bias": (keys,)}

with `trunk = along(width=60)` and `keys = along(keys=60, heads=…)`: its rows are keys, each of
which also belongs to a head. Axes that are not named (a kernel's sides) hold no channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Axis = Mapping[str, Tensor]
"""Kind of channel -> int64, for each index of the axis the channel's number, or −1 for none."""


class Grouped(NamedTuple):
    """The axes of one weight (groups, outputs / groups, inputs / groups), flat over the groups."""

    outputs: Axis
    inputs: Axis


Axes = Mapping[str, tuple[Axis, ...] | Grouped]
"""Name of a tensor -> its leading axes in order."""


@dataclass(frozen=True)
class Extent:
    """How many channels of a kind there are: `lanes` times `size`.

    Attributes:
        lanes: shares that must keep equally many channels, such as heads or groups.
        size: channels in each of them.
        fields: numbers of the settings that shrink with it; ``position.hidden`` is one inside.
    """

    lanes: int
    size: int
    fields: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, eq=False)
class Channels:
    """Where the channels of a module lie, and which of them it can do without.

    Attributes:
        axes: of its tensors, projections being plain (`MixerConfig.plain`).
        extents: what can shrink, by kind; of `width` the lanes alone count.
        rooted: names of tensors that `forward` divides by the root of `root`.
        root: a number that may shrink, such as the width of a head's keys.
    """

    axes: Axes
    extents: Mapping[str, Extent] = field(default_factory=dict[str, Extent])
    rooted: tuple[str, ...] = ()
    root: int = 1


class Branch(nn.Module):
    """A mixer or a feed-forward: made from settings and a width, and telling its channels."""

    def __init__(self, settings: Any, width: int) -> None:  # noqa: ANN401  one type a block
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()

    @staticmethod
    def channels(settings: Any, width: int) -> Channels:  # noqa: ANN401  one type a block
        """Return what the axes of the module's tensors are."""
        raise NotImplementedError


def along(**channels: int | Tensor) -> Axis:
    """Return an axis of so many channels of each kind in order, or of the channels given."""
    return {
        kind: torch.arange(numbers) if isinstance(numbers, int) else numbers
        for kind, numbers in channels.items()
    }


def joined(*axes: Axis) -> Axis:
    """Return several axes one after another."""
    kinds = dict.fromkeys(kind for axis in axes for kind in axis)
    lengths = [len(next(iter(axis.values()))) for axis in axes]
    return {
        kind: torch.cat(
            [axis.get(kind, torch.full((n,), -1)) for axis, n in zip(axes, lengths, strict=True)]
        )
        for kind in kinds
    }


def dense(name: str, inputs: Axis, outputs: Axis, *, groups: int = 1, bias: bool = True) -> Axes:
    """Return the axes of a linear map or a convolution, in `groups` diagonal blocks."""
    weight = (outputs, inputs) if groups == 1 else Grouped(outputs, inputs)
    return {f"{name}.weight": weight, **({f"{name}.bias": (outputs,)} if bias else {})}


def vectors(name: str, channels: Axis, *, bias: bool = True) -> Axes:
    """Return the axes of a LayerNorm or a depth-wise convolution: a number or kernel a channel."""
    return {f"{name}.{part}": (channels,) for part in ("weight", "bias")[: 1 + bias]}


def batch_norm(name: str, channels: Axis) -> Axes:
    """Return the axes of a batch norm and its statistics."""
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts}


def within(name: str, axes: Axes) -> Axes:
    """Return the axes of a module that lies at `name` inside another."""
    return {f"{name}.{tensor}": layout for tensor, layout in axes.items()}
