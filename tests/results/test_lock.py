import gc

import pytest

from lightir_core.errors import ResultsError
from results.lock import RunLock


def test_a_lock_is_held_until_it_is_released(tmp_path):
    lock = RunLock(tmp_path / "run.lock")
    with pytest.raises(ResultsError, match="is in use by process"):
        RunLock(tmp_path / "run.lock")
    lock.release()
    lock.release()
    RunLock(tmp_path / "run.lock").release()


def test_a_forgotten_lock_is_free_again(tmp_path):
    RunLock(tmp_path / "run.lock")
    gc.collect()
    RunLock(tmp_path / "run.lock").release()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ResultsError, match=r"cannot write to run folder .*nowhere: No such file"):
        RunLock(tmp_path / "nowhere" / "run.lock")
