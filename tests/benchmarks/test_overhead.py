import pytest

from benchmarks.overhead import compare
from benchmarks.table import OBJECTIVES, feasible_table
from lightir_core.errors import SearchError
from results.study import Record


@pytest.mark.parametrize("strategy", ["random", "tpe", "nsga2", "nsga3"])
def test_both_make_as_many_trials(tmp_path, strategy):
    [row] = compare(feasible_table(), OBJECTIVES, strategy, 16, tmp_path, 0)
    assert row["trials"] == 16
    assert all(value > 0 for value in (*row["ours"], *row["bare"]))
    assert len(Record.open(tmp_path / "run")) == 16
    assert (tmp_path / "bare.journal").read_bytes().count(b'"op_code":4,') >= 16


def test_what_optuna_does_not_have_cannot_be_compared(tmp_path):
    with pytest.raises(SearchError, match="strategy of Optuna 'evolution' is not known"):
        compare(feasible_table(), OBJECTIVES, "evolution", 16, tmp_path, 0)
