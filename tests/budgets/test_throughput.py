from dataclasses import replace

import pytest

from budgets.throughput import (
    PLAIN,
    WARM_STEPS,
    Measured,
    Variant,
    Workload,
    calibrate,
    recommend,
    share,
)
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY


@pytest.fixture
def task():
    block = BlockConfig(mixer=ResidualConvolutionConfig())
    return Workload(
        architecture=Architecture(width=8, scale=2, stages=(StageConfig(blocks=(block,)),)),
        source=ImageSource(task=parse_task("sr-x2")),
        device="cpu",
        seconds=0.2,
    )


def row(together, per_hour):
    return Measured(PLAIN, together, per_hour)


def test_a_variant_says_what_it_is():
    assert PLAIN.name == "float32, eager"
    assert Variant(half=True, launch_mode="graphed").name == "bfloat16, graphed"


def test_few_at_once_win_where_more_give_hardly_more():
    assert recommend([row(1, 50), row(2, 96), row(4, 100), row(8, 99)]).together == 2
    assert recommend([row(1, 50), row(2, 94), row(4, 100)]).together == 4
    assert recommend([row(1, 100), row(1, 120), row(2, 60)]).per_hour == 120


@pytest.mark.parametrize("together", range(1, 17))
def test_all_shares_fit_on_one_gpu(together):
    assert 0.95 < share(together) * together <= 1


@pytest.mark.slow
def test_trainings_are_timed_alone_and_together(task):
    told = []
    rows = calibrate(task, 2, told.append)
    assert told == rows
    counted = [(row.variant.half, row.together) for row in rows]
    assert counted[:2] == [(False, 1), (True, 1)]
    assert (False, 2) in counted[2:]
    for found in rows:
        assert found.reason is None
        assert found.setup_s > 0
        # both parts of a trial, times those at once
        each = 3600 * found.together / found.per_hour
        assert each == pytest.approx(
            found.setup_s + (PROXY.steps - WARM_STEPS) * found.step_s, rel=0.5
        )


@pytest.mark.slow
def test_a_device_that_cannot_train_is_told(task):
    # tensors without numbers: a loss cannot be read there
    with pytest.raises(SearchError, match=r"does not work on meta: .*meta tensor"):
        calibrate(replace(task, device="meta"), 1, lambda row: None)


@pytest.mark.slow
def test_a_process_that_dies_is_told(task):
    nowhere = replace(task.source, data=("no such folder",))
    with pytest.raises(SearchError, match="does not work on cpu: its process died"):
        calibrate(replace(task, source=nowhere), 1, lambda row: None)


@pytest.mark.gpu
def test_every_way_to_train_works_on_a_gpu(task):
    rows = calibrate(replace(task, device="cuda"), 2, lambda row: None)
    assert [row.reason for row in rows] == [None] * len(rows)
    assert all(row.peak_bytes > 0 for row in rows)
