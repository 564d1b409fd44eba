"""What a budget means, held against going through every point."""

import pytest

from budgets.assess import CostSettings
from budgets.budget import Budget
from lightir_core.published.presets import PRESETS
from search.feasible.profile import profile
from search.feasible.space import Feasible
from tests.search.conftest import FEW, SHAPE, SIZE

AXES = ("params", "macs")


@pytest.fixture(scope="module")
def costs(few_candidates):
    return [(c.cost.params, c.cost.macs) for c in few_candidates]


def of(feasible, budget, axes=AXES, **more):
    return profile(feasible("few", budget, **more), "sr-x2", axes, seed=0)


def test_a_share_of_parameters_is_exact(feasible, costs):
    limit = sorted(costs)[30][0]
    found = of(feasible, f"{limit}")
    assert found.satisfiable is True
    assert found.share.how.startswith("exact")
    assert found.share.estimate == sum(p <= limit for p, _ in costs) / 84
    assert found.share.least == found.share.most == found.share.estimate


def test_a_share_of_two_axes_lies_between_its_bounds(feasible, costs):
    params = sorted(p for p, _ in costs)[60]
    macs = sorted(m for _, m in costs)[50]
    found = of(feasible, f"params={params},macs={macs}")
    truth = sum(p <= params and m <= macs for p, m in costs) / 84
    assert found.share.least <= truth <= found.share.most
    assert found.share.estimate == pytest.approx(truth, abs=3 * found.share.error + 1e-9)
    assert found.binding == "macs"


def test_the_ends_of_each_axis_are_exact(feasible, costs):
    found = of(feasible, "1M")
    for axis, values in zip(AXES, zip(*costs, strict=True), strict=True):
        span = found.space[axis]
        assert (span.smallest, span.largest) == (min(values), max(values))
        assert span.exact_ends
        middle = sorted(values)
        assert middle[30] <= span.median <= middle[54]


def test_what_fits_is_told(feasible, costs):
    limit = sorted(costs)[30][0]
    span = of(feasible, f"{limit}").fits["params"]
    fitting = [p for p, _ in costs if p <= limit]
    assert (span.smallest, span.largest) == (min(fitting), max(fitting))


def test_what_cannot_be_met_is_known(feasible, costs):
    found = of(feasible, f"{min(costs)[0] - 1}")
    assert found.satisfiable is False
    assert found.share.most == 0
    assert found.fits == {}


def test_every_preset_is_priced(feasible):
    found = of(feasible, "800k")
    assert set(found.presets) == set(PRESETS)
    assert found.presets["grformer"][0].params == 780_936
    assert found.presets["grformer"][1] is None
    assert "over 800k" in str(found.presets["swinir-light"][1])


@pytest.mark.slow
def test_a_budget_of_memory_is_drawn(feasible, few_candidates):
    cost_settings = CostSettings(sizes=(SIZE,), batch=1, patch_px=8)
    everything = Feasible(FEW, SHAPE, Budget.parse("memory=1TiB"), SIZE, cost_settings)
    costs = [everything.price(c.architecture) for c in few_candidates[::7]]
    peaks = sorted(cost.training_bytes or 0 for cost in costs)
    limit = peaks[len(peaks) // 2]
    fitting = Feasible(FEW, SHAPE, Budget.parse(f"memory={limit}B"), SIZE, cost_settings)
    found = profile(fitting, "sr-x2", ("params", "memory"), seed=0)
    assert found.satisfiable
    assert 0 < found.share.estimate < 1
    assert found.share.least == 0
    assert found.binding == "memory"
    assert found.fits["memory"].largest <= limit < found.space["memory"].largest


def test_equal_seeds_tell_the_same(feasible):
    assert of(feasible, "params=60k,macs=60M") == of(feasible, "params=60k,macs=60M")
