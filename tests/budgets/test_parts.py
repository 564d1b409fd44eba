from dataclasses import replace

from budgets.parts import trunk_steps
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CrossLayerConfig,
    ResidualConvolutionConfig,
    StageConfig,
)

BLOCK = BlockConfig(mixer=ResidualConvolutionConfig())
STAGE = StageConfig(blocks=(BLOCK,))


def flow(*stages, **changes):
    """(what runs, what it reads, what is held meanwhile) of each step."""
    steps = trunk_steps(Architecture(width=8, stages=stages, **changes))
    return [(step.part.kind if step.part else "sum", step.inputs, step.held) for step in steps]


def test_a_stage_holds_its_input_for_the_skip():
    assert flow(STAGE) == [
        ("block", (0,), (0, 0)),
        ("closing", (1,), (0,)),
        ("sum", (2, 0), (0,)),
    ]


def test_a_skip_over_the_closing_alone():
    assert flow(replace(STAGE, skip="output"))[1:] == [
        ("closing", (1,), (0,)),
        ("sum", (1, 2), (0,)),
    ]


def test_nothing_beside_the_blocks():
    bare = replace(STAGE, closing="none", skip="none")
    assert [step[:2] for step in flow(bare, bare)] == [("block", (0,)), ("block", (1,))]


def test_an_anchor_adds_the_input_after_passes():
    twice = replace(STAGE, recursions=2, closing="none", skip="none")
    every = [step[:2] for step in flow(replace(twice, anchor="every"))]
    assert every == [("block", (0,)), ("sum", (1, 0)), ("block", (2,)), ("sum", (3, 0))]
    last = [step[:2] for step in flow(replace(twice, anchor="last"))]
    assert last == [("block", (0,)), ("block", (1,)), ("sum", (2, 0))]
    assert flow(replace(twice, anchor="last"))[1][2] == (0, 1)  # the stage's input, the pass's


def test_references_are_outputs_before_attention_oldest_first():
    bare = replace(STAGE, closing="none", skip="none")
    slot = replace(bare, cross_layer=CrossLayerConfig(keys=2, references=2))
    steps = flow(bare, slot, slot)
    assert [step[:2] for step in steps] == [
        ("block", (0,)),
        ("block", (1,)),
        ("cross_layer", (2, 0, 1)),
        ("sum", (2, 3)),
        ("block", (4,)),
        ("cross_layer", (5, 1, 2)),
        ("sum", (5, 6)),
    ]
    assert set(steps[4][2]) == {0, 1, 2, 4}  # every earlier output, and the stage's input


def test_weights_are_told_apart():
    def owners(stage, count=2, **changes):
        architecture = Architecture(width=8, stages=(stage,) * count, **changes)
        return len({step.weights for step in trunk_steps(architecture) if step.part})

    twice = replace(STAGE, recursions=2)
    assert owners(STAGE) == 4
    assert owners(STAGE, stage_sharing=2) == 2
    assert owners(twice) == 4
    assert owners(replace(twice, tied=False)) == 6
