import pytest
import torch

from benchmarks.measured import measured_latency
from budgets import latency as module
from budgets.budget import Size
from budgets.latency import LatencyTable, latency, time_ns
from budgets.parts import Part
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CrossLayerConfig,
    MlpConfig,
    StageConfig,
    WindowAttentionConfig,
)
from lightir_core.errors import BudgetError

BLOCK = BlockConfig(
    mixer=WindowAttentionConfig(num_heads=2, window_size=(4, 4)),
    feed_forward=MlpConfig(hidden_dim=24),
)
SMALL = Architecture(width=12, scale=2, stages=(StageConfig(blocks=(BLOCK,)),))
SIZE = Size(32, 32)


@pytest.fixture
def few_runs(monkeypatch):
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(module, "LEAST_RUNS", 3)


@pytest.fixture
def counted(monkeypatch):
    """How often something was timed, each taking one more millisecond."""
    timed = []

    def count(run, device):
        run()
        timed.append(run)
        return len(timed) * 10**6, len(timed) * 10**5

    monkeypatch.setattr(module, "time_ns", count)
    return timed


def test_each_distinct_part_is_timed_once(tmp_path, counted):
    table = LatencyTable(tmp_path / "times.jsonl")
    deep = Architecture(
        width=12, scale=2, stages=(StageConfig(blocks=(BLOCK,) * 3, recursions=2),) * 2
    )
    # frame 1 ms, block 2 ms, closing 3 ms, sum of two maps 4 ms
    assert latency(deep, SIZE, table) == 1 + 12 * 2 + 2 * 3 + 2 * 4
    assert latency(SMALL, SIZE, table) == 1 + 2 + 3 + 4
    assert len(counted) == 4


def test_both_clocks_are_kept(tmp_path, counted):
    file = tmp_path / "times.jsonl"
    wall = latency(SMALL, SIZE, LatencyTable(file))
    assert latency(SMALL, SIZE, LatencyTable(file, clock="cpu")) == wall / 10
    assert len(counted) == 4
    with pytest.raises(BudgetError, match="clock 'sun' is not known; use one of wall, cpu"):
        LatencyTable(file, clock="sun")


def test_references_are_timed_too(tmp_path, counted):
    stage = StageConfig(blocks=(BLOCK,), closing="none", skip="none")
    slot = StageConfig(
        blocks=(BLOCK,),
        closing="none",
        skip="none",
        cross_layer=CrossLayerConfig(keys=2, references=2),
    )
    table = LatencyTable(tmp_path / "times.jsonl")
    architecture = Architecture(width=12, stages=(stage, slot))
    assert latency(architecture, SIZE, table) == 1 + 2 + 2 + 3 + 4


def test_another_size_is_another_time(tmp_path, counted):
    table = LatencyTable(tmp_path / "times.jsonl")
    latency(SMALL, SIZE, table)
    latency(SMALL, Size(64, 32), table)
    assert len(counted) == 8


def test_the_default_table_lies_beside_the_other_costs(few_runs, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    latency(SMALL, SIZE, LatencyTable())
    files = list((tmp_path / "lightir").iterdir())
    assert [file.name.partition("-")[0] for file in files] == ["latency"]


def test_the_median_time_of_a_call(few_runs):
    matrix = torch.rand(300, 300)
    wall, cpu = time_ns(lambda: matrix @ matrix, torch.device("cpu"))
    assert 0 < wall < 10**9
    assert 0 < cpu < 10**9


def test_the_key_of_a_part_names_what_matters():
    keys = {
        Part("block", BLOCK, 12).key(SIZE),
        Part("block", BLOCK, 24).key(SIZE),
        Part("block", BLOCK, 12).key(Size(32, 64)),
        Part("closing", "convolution", 12).key(SIZE),
    }
    assert len(keys) == 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_latency_on_a_gpu(tmp_path):
    table = LatencyTable(tmp_path / "times.jsonl", device="cuda")
    predicted = latency(SMALL, Size(256, 256), table)
    assert predicted == pytest.approx(measured_latency(SMALL, Size(256, 256), "cuda")[0], rel=0.5)
