import pytest

from benchmarks.overhead import compare
from lightir_core.errors import SearchError
from results.objectives import Objective
from results.study import Record

PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise", unit="MACs", label="MACs")


@pytest.mark.parametrize("strategy", ["random", "tpe", "nsga2", "nsga3"])
def test_both_make_as_many_trials(feasible, tmp_path, strategy):
    pairs = compare(feasible("few"), (PSNR, MACS), strategy, 16, tmp_path, 0)
    assert [pair.trials for pair in pairs] == [16]
    assert all(c.cpu_ms > 0 and c.wall_ms > 0 for c in (pairs[0].ours, pairs[0].bare))
    assert len(Record.open(tmp_path / "run")) == 16
    assert (tmp_path / "bare.journal").read_bytes().count(b'"op_code":4,') >= 16


def test_what_optuna_does_not_have_cannot_be_compared(feasible, tmp_path):
    with pytest.raises(SearchError, match="strategy of Optuna 'evolution' is not known"):
        compare(feasible("few"), (PSNR, MACS), "evolution", 16, tmp_path, 0)
