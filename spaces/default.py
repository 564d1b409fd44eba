"""The default space: every axis of the five papers; and `small`, a space to look around in."""

from __future__ import annotations

from spaces.space import Dimension, Space, When

ATTENTION = When("mixer", ("window", "cascade"))
WINDOW = When("mixer", ("window",))
SEVERAL_BLOCKS = When("blocks", (2, 3, 4, 5, 6))

SMALL = Space(
    name="small",
    summary="window attention, dense or grouped, with recursion: a space for a first look",
    network=(
        Dimension("width", (24, 32, 48, 64)),
        Dimension("stages", (1, 2, 3, 4)),
    ),
    stage=(
        Dimension("blocks", (1, 2, 3, 4)),
        Dimension("heads", (2, 4)),
        Dimension("window", ("4x4", "8x8", "4x16")),
        Dimension("groups", (1, 2, 4)),
        Dimension("feed_forward", ("mlp", "depthwise_mlp")),
        Dimension("ratio", (1.0, 1.5, 2.0)),
        Dimension("recursions", (1, 2)),
    ),
)
