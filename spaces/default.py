"""The default space, with every axis of the five papers, and `small`, a space to look around in."""

from dataclasses import replace

from spaces.space import Dimension, Space, When

ATTENTION = When("mixer", ("window", "cascade"))
WINDOW = When("mixer", ("window",))
SEVERAL_BLOCKS = When("blocks", (2, 3))
SEVERAL_PASSES = When("recursions", (2, 3))
CROSS_LAYER = When("cross_keys", (1, 2, 4, 8, 16))

DEFAULT = Space(
    name="default",
    summary="all axes of ACLA, AgileIR, GRFormer, DRT and Compacter; stages are drawn alike",
    repeats=True,
    network=(
        Dimension("width", (24, 32, 40, 48, 56, 60, 64)),
        Dimension("stages", (1, 2, 3, 4)),
        Dimension("stage_sharing", (1, 2)),
    ),
    stage=(
        Dimension("blocks", (1, 2, 3)),
        Dimension("mixer", ("window", "cascade", "convolution")),
        Dimension("heads", (2, 3, 4, 6), (ATTENTION,)),
        Dimension("window", ("4x4", "8x8", "4x16", "8x16"), (ATTENTION,)),
        Dimension("shift", ("alternate", "none"), (ATTENTION, SEVERAL_BLOCKS)),
        Dimension(
            "transpose",
            (False, True),
            (ATTENTION, When("window", ("4x16", "8x16")), When("blocks", (3,))),
        ),
        Dimension("groups", (1, 2, 4), (WINDOW,)),
        Dimension("logits", ("dot", "cosine"), (WINDOW,)),
        Dimension("position", ("table", "exponential", "none"), (WINDOW,)),
        Dimension("channel", (False, True), (WINDOW,)),
        Dimension("depthwise_value", (False, True), (WINDOW,)),
        Dimension("key_dim", (4, 8, 16), (When("mixer", ("cascade",)),)),
        Dimension("feed_forward", ("mlp", "depthwise_mlp", "dsgm", "none"), (ATTENTION,)),
        Dimension(
            "ratio",
            (1.0, 1.5, 2.0, 3.0),
            (ATTENTION, When("feed_forward", ("mlp", "depthwise_mlp", "dsgm"))),
        ),
        Dimension("norm", ("pre", "post"), (ATTENTION,)),
        Dimension("recursions", (1, 2, 3)),
        Dimension("recursion_weights", ("tied", "untied"), (SEVERAL_PASSES,)),
        Dimension("closing", ("convolution", "depthwise", "none")),
        Dimension("skip", ("input", "output", "none")),
        Dimension("cross_keys", (0, 1, 2, 4, 8, 16)),
        Dimension("cross_references", (1, 2, 3, 4), (CROSS_LAYER,)),
        Dimension("cross_selection", ("none", "soft", "hard"), (CROSS_LAYER,)),
    ),
)

FULL = replace(
    DEFAULT,
    name="full",
    summary="the points of default; each stage is drawn for itself",
    repeats=False,
)

SMALL = Space(
    name="small",
    summary="window attention, dense or grouped, with recursion: for a first look",
    network=(Dimension("width", (24, 32, 48, 64)), Dimension("stages", (1, 2, 3, 4))),
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
