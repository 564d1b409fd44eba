"""Each measurement of the cost model in small."""

import pytest

from benchmarks.costs import costs, exact_steps, latency_lines, memory_steps
from benchmarks.sampling import Bench, uniformity
from lightir_core.errors import SearchError

SMALL = Bench(seed=1, share=1e-5)


def test_the_same_seed_is_the_same_networks():
    first, second = ([a.id for a in Bench(seed).architectures(3, "x")] for seed in (0, 0))
    assert first == second
    assert [a.id for a in Bench(1).architectures(3, "x")] != first


def test_nothing_differs_from_the_trace():
    for _, run in exact_steps(Bench(seed=2, share=2e-3)):
        assert run()["wrong"] == 0


@pytest.mark.slow
def test_memory_in_small():
    rows = [run() for key, run in memory_steps(SMALL) if "True" not in key]
    assert {row["what"].split()[0] for row in rows} == {"training", "inference"}
    assert all(row["predicted"] == pytest.approx(row["observed"], rel=0.03) for row in rows)


def test_latency_is_ranked():
    rows = [
        {"device": "some x1", "predicted": [p, p], "observed": [1.25 * p, p]} for p in (1.0, 2.0)
    ]
    text = "\n".join(latency_lines(rows))
    assert "| wall | 1.000 | 20.0% | 20.0% | 0.800 |" in text
    assert "| cpu | 1.000 | 0.0% | 0.0% | 1.000 |" in text


def test_draws_are_uniform_and_inside():
    row = uniformity(SMALL)
    assert row["outside"] == 0
    assert row["p"] > 1e-3


def test_unknown_parts_are_refused(tmp_path):
    with pytest.raises(SearchError, match="part 'memry' is not known; did you mean 'memory'"):
        costs(only=["memry"], keep=tmp_path)
