import pytest

from benchmarks import strategies
from benchmarks.table import read_table
from search.strategies import STRATEGIES


@pytest.fixture(scope="module")
def table():
    return read_table()


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "gp" and "nni" not in n])
def test_every_strategy_plays_the_table(table, name):
    row = strategies.play(table, name, seed=3)
    assert len(row["shares"]) == strategies.TRIALS
    assert sorted(row["shares"]) == row["shares"]
    assert 0 < row["shares"][0] < row["shares"][-1] <= 1
    assert (row["within"], row["duplicates"]) == (1, 0)


def test_the_document_tells_ties_from_differences(table):
    def rows(name, last):
        shares = [0.5] * (strategies.TRIALS - 1)
        return [
            {"strategy": name, "seed": seed, "shares": [*shares, last(seed)], "within": 1.0,
             "duplicates": 0, "ms": 2.0}
            for seed in range(8)
        ]  # fmt: skip

    told = strategies.document(
        table,
        [
            *rows("random", lambda seed: 0.7 + 0.01 * seed),
            *rows("better", lambda seed: 0.75 + 0.01 * seed),
            *rows("same", lambda seed: 0.7 + 0.01 * seed + (0.01 if seed % 2 else -0.01)),
        ],
    )
    text = "\n".join(told)
    assert "| better (+5.0 to +5.0 points) |" in text
    assert text.count(" tie (") == 7  # all but the last of the better one
    assert "| better | 8 | 50.0 % (50.0–50.0)" in text


def test_a_sparkline_rises():
    assert strategies.sparkline([0.2, 0.5, 0.75, 1.0]) == "▁▁▅█"
