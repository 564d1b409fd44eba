from pathlib import Path

import pytest

from benchmarks.fidelities import KINDS, MARKS, document, rows_of
from benchmarks.table import read_table


def unheard(text):
    """Nobody listens."""


@pytest.fixture(scope="module")
def table():
    return read_table(Path(__file__).parent / "table.json")


def test_rungs_are_compared_at_equal_training(table, tmp_path):
    rows = rows_of(table, 1, tmp_path, unheard)
    assert [row["kind"] for row in rows] == list(KINDS)
    whole = rows[0]
    assert whole["begun"] == whole["whole"] == whole["trainings"] == 88
    for row in rows[1:]:
        assert row["whole"] < row["begun"] == 88
        assert max(MARKS) <= row["trainings"] < 88
    for row in rows:
        assert row["shares"] == sorted(row["shares"])
        assert 0 < row["shares"][0] <= row["shares"][-1] <= 1
    assert rows_of(table, 1, tmp_path, unheard, more=False) == rows
    text = document(table, rows, 1)
    assert all(f"| {kind} | " in text for kind in KINDS)
    assert "0.69 after 150 steps" in text
