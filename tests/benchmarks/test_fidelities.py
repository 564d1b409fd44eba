import pytest

from benchmarks.fidelities import KINDS, MARKS, agreements, rows_of
from benchmarks.table import read_table


@pytest.fixture(scope="module")
def table():
    return read_table()


def test_rungs_are_compared_at_equal_training(table, tmp_path):
    rows = rows_of(table, 1, tmp_path, print)
    assert [row["kind"] for row in rows] == list(KINDS)
    whole = rows[0]
    assert whole["begun"] == whole["whole"] == whole["trainings"] == 88
    for row in rows[1:]:
        assert row["whole"] < row["begun"] == 88
        assert max(MARKS) <= row["trainings"] < 88
    for row in rows:
        assert row["shares"] == sorted(row["shares"])
        assert 0 < row["shares"][0] <= row["shares"][-1] <= 1
    assert rows_of(table, 1, tmp_path, print, more=False) == rows


def test_scores_on_the_way_rank_as_published(table):
    assert agreements(table) == pytest.approx({75: 0.32, 150: 0.69, 225: 0.86}, abs=0.005)
