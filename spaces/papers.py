"""One space per paper: its own design choices, searched around what it chose by hand."""

from spaces.space import Dimension, Space, When

WIDTH = Dimension("width", (24, 36, 48, 60))
STAGES = Dimension("stages", (1, 2, 3, 4, 5, 6))
BLOCKS = Dimension("blocks", (1, 2, 3, 4, 6))
SEVERAL_BLOCKS = When("blocks", (2, 3, 4, 6))

GRFORMER = Space(
    name="grformer",
    summary="grouped residual projections, cosine logits, exponential-space bias (GRFormer)",
    network=(WIDTH, STAGES),
    stage=(
        BLOCKS,
        Dimension("heads", (2, 3, 4, 6)),
        Dimension("window", ("8x8", "4x16", "8x16", "8x32")),
        Dimension("transpose", (True,)),
        Dimension("groups", (1, 2, 3, 4, 6)),
        Dimension("logits", ("cosine",)),
        Dimension("position", ("exponential", "table")),
        Dimension("feed_forward", ("depthwise_mlp",)),
        Dimension("ratio", (1.0, 1.5, 2.0, 3.0)),
        Dimension("norm", ("post",)),
        Dimension("skip", ("output", "input")),
    ),
)

AGILEIR = Space(
    name="agileir",
    summary="group shifted window attention with a free key width (AgileIR)",
    network=(WIDTH, STAGES),
    stage=(
        BLOCKS,
        Dimension("mixer", ("cascade",)),
        Dimension("heads", (2, 3, 4, 6, 12)),
        Dimension("key_dim", (4, 8, 12, 16, 24, 32)),
        Dimension("window", ("8x8", "16x16")),
        Dimension("ratio", (1.0, 2.0, 3.0)),
    ),
)

DRT = Space(
    name="drt",
    summary="recursion with an anchor, windows that never shift (DRT)",
    network=(WIDTH, STAGES, Dimension("stage_sharing", (1, 2, 3))),
    stage=(
        BLOCKS,
        Dimension("heads", (2, 3, 4)),
        Dimension("window", ("4x4", "7x7", "8x8")),
        Dimension("shift", ("none", "alternate"), (SEVERAL_BLOCKS,)),
        Dimension("ratio", (0.5, 1.0, 2.0)),
        Dimension("recursions", (1, 2, 3, 4, 6)),
        Dimension("recursion_weights", ("tied", "untied"), (When("recursions", (2, 3, 4, 6)),)),
        Dimension("closing", ("convolution", "depthwise")),
        Dimension("skip", ("none",)),
    ),
)

COMPACTER = Space(
    name="compacter",
    summary="spatial and channel attention on shared projections, dual gating (Compacter)",
    network=(Dimension("width", (24, 36, 48, 60)), Dimension("stages", (1, 2, 3, 4))),
    stage=(
        Dimension("blocks", (1, 2, 3, 4, 6)),
        Dimension("heads", (2, 4, 6)),
        Dimension("window", ("4x4", "8x8", "16x16")),
        Dimension("shift", ("none", "alternate"), (SEVERAL_BLOCKS,)),
        Dimension("channel", (True, False)),
        Dimension("channel_heads", (1, 2, 4), (When("channel", (True,)),)),
        Dimension("depthwise_value", (True, False)),
        Dimension("position", ("table", "none")),
        Dimension("feed_forward", ("dsgm", "mlp")),
        Dimension("ratio", (1.0, 1.5, 2.0)),
        Dimension("closing", ("none",)),
        Dimension("skip", ("none",)),
    ),
)

ACLA = Space(
    name="acla",
    summary="residual convolutions with searched cross-layer attention (ACLA on EDSR)",
    network=(
        Dimension("width", (24, 32, 48, 64)),
        Dimension("stages", (2, 3, 4, 5, 6)),
        Dimension("body_norm", (False,)),
    ),
    stage=(
        Dimension("blocks", (1, 2, 3, 4)),
        Dimension("mixer", ("convolution",)),
        Dimension("closing", ("none",)),
        Dimension("skip", ("none",)),
        Dimension("cross_keys", (0, 1, 2, 4, 8, 16)),
        Dimension("cross_references", (1, 2, 3, 4), (When("cross_keys", (1, 2, 4, 8, 16)),)),
        Dimension(
            "cross_selection", ("none", "soft", "hard"), (When("cross_keys", (1, 2, 4, 8, 16)),)
        ),
    ),
)
