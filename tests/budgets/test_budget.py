import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.budget import AXES, Budget, Cost
from lightir_core.errors import BudgetError


def test_a_bare_number_limits_the_parameters():
    assert Budget.parse("400k").limits == (("params", 400_000),)
    assert Budget.parse("0.4M").limits == Budget.parse("400_000").limits


def test_all_axes_at_once():
    text = "params=400k, macs=30G,memory=2GiB,inference-memory=512MiB,latency=40ms"
    budget = Budget.parse(text)
    assert dict(budget.limits) == {
        "params": 400_000,
        "macs": 30 * 10**9,
        "memory": 2**31,
        "inference-memory": 2**29,
        "latency": 40.0,
    }
    assert budget.text == text
    assert budget.limit("macs") == 30 * 10**9
    assert Budget.parse("1k").limit("macs") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("400q", "unknown unit 'q'"),
        ("-1", "not a positive number"),
        ("0", "is zero"),
        ("nan", "not a positive number"),
        ("1e400", "not a positive number"),
        ("", "empty limit"),
        ("params=", "empty limit"),
        ("params=1k,", "empty limit"),
        ("parms=400k", "unknown axis 'parms'; did you mean 'params'"),
        ("zzz=1", "unknown axis 'zzz'; axes are params, macs"),
        ("params=1k,params=2k", "limits params twice"),
        ("1k,2k", "limits params twice"),
        ("params=40ms", "params: count '40ms' has the unknown unit 'ms'"),
        ("latency=400k", "latency: time '400k' has the unknown unit 'k'"),
        ("latency=40", "latency: time '40' has no unit"),
        ("memory=2G", "memory: memory size '2G' has the unknown unit"),
        ("macs=30GiB", "macs: count '30GiB' has the unknown unit"),
        ("params==4k", "not a positive number"),
        ("60%@grformer", "not a positive number"),
    ],
)
def test_bad_budgets_say_what_is_wrong(text, reason):
    with pytest.raises(BudgetError, match=reason):
        Budget.parse(text)


def test_a_percentage_of_a_preset():
    asked = []

    def reference(name, axis):
        asked.append((name, axis))
        return 780_936.0

    budget = Budget.parse("60%@grformer,macs=12.5% @ swinir-light", reference)
    assert dict(budget.limits) == {"params": 468_561, "macs": 97_617}
    assert asked == [("grformer", "params"), ("swinir-light", "macs")]
    with pytest.raises(BudgetError, match="use a positive %"):
        Budget.parse("0%@grformer", reference)


def test_the_limit_itself_is_allowed():
    budget = Budget.parse("params=400k,macs=30G")
    assert budget.allows(Cost(400_000, 30 * 10**9))
    assert budget.excess(Cost(400_000, 30 * 10**9)) is None
    assert not budget.allows(Cost(400_001, 1))
    assert not budget.allows(Cost(1, 30 * 10**9 + 1))


def test_excess_names_every_axis_that_is_over():
    words = Budget.parse("params=400k,macs=30G").excess(Cost(500_000, 33 * 10**9))
    assert words == "params 500k is 25.00% over 400k; macs 33G is 10.00% over 30G"
    assert "params" not in Budget.parse("params=400k,macs=30G").excess(Cost(1, 31 * 10**9))


@pytest.mark.parametrize("axis", ["memory", "inference-memory", "latency"])
def test_an_axis_that_was_not_computed_is_never_allowed_silently(axis):
    limit = "40ms" if axis == "latency" else "1GiB"
    budget = Budget.parse(f"{axis}={limit}")
    with pytest.raises(BudgetError, match=f"limits {axis}, but this cost has no"):
        budget.allows(Cost(1, 1))
    with pytest.raises(BudgetError, match=f"limits {axis}"):
        budget.excess(Cost(1, 1))
    assert budget.allows(Cost(1, 1, **{AXES[axis].field: 1}))
    assert not budget.allows(Cost(1, 1, **{AXES[axis].field: 10**12}))


def test_scaling_moves_every_limit():
    budget = Budget.parse("params=400k,latency=40ms").scaled(1.25)
    assert dict(budget.limits) == {"params": 500_000, "latency": 50.0}
    assert budget.text == "1.25 x (params=400k,latency=40ms)"


@given(st.integers(1, 10**6), st.integers(1, 10**12), st.integers(1, 10**6), st.integers(1, 10**12))
def test_allows_and_excess_agree(limit_params, limit_macs, params, macs):
    budget = Budget((("params", limit_params), ("macs", limit_macs)), "")
    cost = Cost(params, macs)
    assert budget.allows(cost) == (budget.excess(cost) is None)


def test_costs_add_up_without_their_peaks():
    assert Cost(1, 2, training_bytes=5) + Cost(3, 4, latency_ms=1.0) == Cost(4, 6)
    assert sum([Cost(1, 2), Cost(3, 4)], start=Cost.zero()) == Cost(4, 6)
