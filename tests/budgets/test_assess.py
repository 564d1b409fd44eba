import pytest

from budgets import assess as module
from budgets.assess import CostSettings, assess, excess
from budgets.budget import Budget, Cost, Size, format_bytes
from budgets.latency import LatencyTable, latency
from budgets.memory import inference_memory, training_memory
from budgets.price import price
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.errors import BudgetError

ARCHITECTURE = Architecture(
    width=8, stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)
)
SIZES = (Size(16, 64), Size(40, 24))


def test_only_what_is_asked_for_is_computed():
    cost = assess(ARCHITECTURE, (), CostSettings(SIZES[:1]))
    assert cost == price(ARCHITECTURE, SIZES[0])
    assert cost.training_bytes is cost.inference_bytes is cost.latency_ms is None


def test_every_axis_at_its_worst_size(tmp_path):
    table = LatencyTable(tmp_path / "times.jsonl")
    cost_settings = CostSettings(SIZES, batch=2, patch_px=12, state_copies=1, times=table)
    cost = assess(ARCHITECTURE, ("memory", "inference-memory", "latency"), cost_settings)
    assert cost == Cost(
        price(ARCHITECTURE, SIZES[0]).params,
        max(price(ARCHITECTURE, size).macs for size in SIZES),
        training_memory(ARCHITECTURE, 2, 12, state_copies=1),
        max(inference_memory(ARCHITECTURE, size) for size in SIZES),
        max(latency(ARCHITECTURE, size, table) for size in SIZES),
    )


def test_excess_looks_at_the_cheap_axes_first(monkeypatch):
    cost_settings = CostSettings(SIZES)
    assert excess(ARCHITECTURE, Budget.parse("memory=1GiB,params=1M"), cost_settings) is None
    words = excess(ARCHITECTURE, Budget.parse("memory=60KiB,params=1M"), cost_settings)
    assert words is not None
    assert words.startswith("memory ")
    words = excess(ARCHITECTURE, Budget.parse("memory=1KiB,params=1M"), cost_settings)
    weights = format_bytes(20 * price(ARCHITECTURE, SIZES[0]).params)
    assert words == f"memory: training the weights alone takes {weights}, more than 1KiB"
    monkeypatch.setattr(module, "training_memory", None)
    words = excess(ARCHITECTURE, Budget.parse("memory=1KiB,params=10"), cost_settings)
    assert words is not None
    assert words.startswith("params ")


@pytest.mark.parametrize(
    ("axes", "reason"),
    [(("latency",), "needs a table of times"), (("latancy",), "did you mean 'latency'")],
)
def test_bad_axes(axes, reason):
    with pytest.raises(BudgetError, match=reason):
        assess(ARCHITECTURE, axes, CostSettings(SIZES))


def test_cost_settings_need_a_size():
    with pytest.raises(BudgetError, match="at least one image size"):
        CostSettings(())
