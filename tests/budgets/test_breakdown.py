from dataclasses import astuple

import pytest

from budgets.breakdown import MacSplit, split_macs, table_params
from budgets.budget import Size, parse_size
from budgets.price import price
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.published.presets import preset
from tests.budgets.random_architectures import random_architecture

HD = parse_size("1280x720")


@pytest.mark.parametrize(
    ("name", "task", "gmacs"),
    [
        # (projections, QKᵀ and AV, feed-forward, convolutions) at 1280x720, closed forms of the
        # papers checked against fvcore; GRFormer's position MLPs add 0.0145 to the second
        ("swinir-light", "sr-x2", (79.63, 42.47, 79.63, 39.19)),
        ("swinir-light", "sr-x3", (35.83, 19.11, 35.83, 18.48)),
        ("swinir-light", "sr-x4", (20.35, 10.85, 20.35, 11.16)),
        ("grformer", "sr-x2", (42.47, 181.19 + 0.0145, 97.67, 41.80)),
        ("grformer", "sr-x3", (19.82, 84.56 + 0.0145, 45.58, 20.44)),
        ("grformer", "sr-x4", (10.62, 45.30 + 0.0145, 24.42, 11.65)),
    ],
)
def test_the_published_systems_split_as_their_closed_forms(name, task, gmacs):
    split = split_macs(preset(name, task), HD)
    assert [macs / 1e9 for macs in astuple(split)] == pytest.approx(gmacs, abs=0.0051)


@pytest.mark.parametrize("seed", range(12))
def test_the_kinds_add_up_to_the_price(seed):
    architecture = random_architecture(seed)
    size = Size(64, 96)
    assert sum(astuple(split_macs(architecture, size))) == price(architecture, size).macs


def test_a_convolutional_network_is_all_convolutions():
    stage = StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),))
    architecture = Architecture(width=8, stages=(stage,))
    macs = price(architecture, Size(32, 32)).macs
    assert split_macs(architecture, Size(32, 32)) == MacSplit(convolutions=macs)


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("swinir-light", 929_628 - 897_228),  # 24 tables of 15² x 6; the paper prints 897K
        ("grformer", 0),  # a small MLP in place of tables
        ("edsr-baseline", 0),
    ],
)
def test_tables_that_papers_leave_out(name, tables):
    assert table_params(preset(name, "sr-x4")) == tables


def test_tied_tables_count_once():
    drt = preset("drt", "derain")
    passes = {stage.recursions for stage in drt.stages}
    assert passes == {3}
    blocks = [block.mixer for stage in drt.stages for block in stage.blocks]
    expected = sum(
        (2 * m.window_size[0] - 1) * (2 * m.window_size[1] - 1) * m.num_heads for m in blocks
    )
    assert table_params(drt) == expected
