"""Each measurement in small, and that it goes on where it was stopped."""

import json

import pytest

from benchmarks.costs import document, exactness, memory, sampling, timing
from benchmarks.costs.part import Bench, Part, measure
from lightir_core.errors import SearchError
from lightir_core.published.presets import PRESETS

SMALL = Bench(seed=1, share=1e-5)


def unheard(row):
    """Nobody listens to the rows."""


def counting(done):
    def steps(bench):
        for number in range(bench.many(3)):
            yield str(number), lambda number=number: done.append(number) or {"number": number}

    return Part("counting", "Counting", steps, lambda rows: [str(len(rows))])


def test_a_stopped_measurement_goes_on(tmp_path):
    done = []
    rows, missing = measure(counting(done), Bench(), tmp_path, unheard)
    assert missing == 0
    assert done == [0, 1, 2]
    [file] = tmp_path.iterdir()
    lines = file.read_text().splitlines()
    file.write_text(lines[0] + "\n" + lines[2][:5])  # the second is missing, the third cut off
    told = []
    so_far = measure(counting(done), Bench(), tmp_path, told.append, more=False)
    assert so_far == (rows[:1], 2)
    assert told == []
    assert measure(counting(done), Bench(), tmp_path, told.append) == (rows, 0)
    assert done == [0, 1, 2, 1, 2]
    assert len(told) == 2


def test_other_seeds_and_numbers_are_other_measurements(tmp_path):
    done = []
    for bench in (Bench(), Bench(seed=1), Bench(share=0.4)):
        measure(counting(done), bench, tmp_path, unheard)
    assert done == [0, 1, 2, 0, 1, 2, 0]


def test_the_same_seed_is_the_same_networks():
    first, second = ([a.id for a in Bench(seed).architectures(3, "x")] for seed in (0, 0))
    assert first == second
    assert [a.id for a in Bench(1).architectures(3, "x")] != first


def test_nothing_differs_from_the_trace():
    for _, run in exactness.exact_steps(Bench(seed=2, share=2e-3)):
        assert run()["wrong"] == 0


def test_memory_in_small():
    rows = [run() for key, run in memory.steps(SMALL) if "True" not in key]
    assert {row["what"].split()[0] for row in rows} == {"training", "inference"}
    assert all(row["predicted"] == pytest.approx(row["observed"], rel=0.03) for row in rows)
    assert "| 1 | 0." in "\n".join(memory.summary(rows))


def test_latency_is_ranked():
    rows = [
        {"device": "some x1", "predicted": [p, p], "observed": [1.25 * p, p]} for p in (1.0, 2.0)
    ]
    text = "\n".join(timing.summary(rows))
    assert "| wall | 1.000 | 20.0% | 20.0% | 0.800 |" in text
    assert "| cpu | 1.000 | 0.0% | 0.0% | 1.000 |" in text


def test_draws_are_uniform_and_inside():
    row = sampling.uniformity(SMALL)
    assert row["outside"] == 0
    assert row["p"] > 1e-3


def test_the_document_tells_command_and_seed(tmp_path):
    kept = tmp_path / "rows" / "fvcore-3-1.jsonl"
    kept.parent.mkdir()
    rows = [[name, {"preset": name, "ours": 5000, "fvcore": 4000}] for name in PRESETS]
    kept.write_text("\n".join(map(json.dumps, rows)) + "\n")
    file = tmp_path / "costs.md"
    told = document.run(["fvcore"], Bench(seed=3), kept.parent, file, unheard)
    assert file.read_text() == told
    assert "`python -m search bench costs --only fvcore --seed 3`" in told
    assert "| grformer | 5,000 | 4,000 | 1,000 |" in told


def test_unknown_parts_are_refused(tmp_path):
    with pytest.raises(SearchError, match="part 'memry' is not known; did you mean 'memory'"):
        document.run(["memry"], Bench(), tmp_path, None, unheard)
