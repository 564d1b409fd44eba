import gc
import os
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightir_core.errors import ResultsError
from results.journal import Journal, RunLock, cut_torn_tail, drop_stale_lock
from results.study import JOURNAL


@pytest.fixture
def journal(tmp_path):
    (tmp_path / JOURNAL).touch()
    return Journal(tmp_path / JOURNAL)


def lines_of(record):
    return (record.folder / JOURNAL).read_bytes().count(b"\n")


def test_one_append_writes_all_at_once(journal, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with journal.one_append():
        journal.append_logs([{"a": 1}])
        journal.append_logs([{"a": 2}])
        assert (tmp_path / JOURNAL).read_bytes() == b""
    assert list(journal.read_logs(0)) == [{"a": 1}, {"a": 2}]
    assert len(synced) == 1


def test_what_fails_inside_one_append_is_not_written(record):
    journal, before = Journal(record.folder / JOURNAL), lines_of(record)

    def half():
        with journal.one_append():
            journal.append_logs([{"op_code": 8}])
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half()
    assert lines_of(record) == before


def test_a_tail_of_zeros_ending_in_a_newline_is_cut_too(record):
    path = record.folder / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(64) + b"\n")
    assert cut_torn_tail(path) == 65
    assert path.read_bytes() == whole
    assert cut_torn_tail(path) == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=st.integers(1, 4), cut=st.integers(0, 11))
def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path, whole, cut):
    line = b'{"a": 12345}\n'
    path = tmp_path / "cut.journal"
    path.write_bytes(line * whole + line[:cut])
    assert cut_torn_tail(path) == cut
    assert path.read_bytes() == line * whole


def test_damage_before_the_end_is_not_repaired_by_losing_what_follows(tmp_path):
    path = tmp_path / "damaged.journal"
    content = b'{"a": 1}\n{"a": \n{"a": 3}\n'
    path.write_bytes(content)
    assert cut_torn_tail(path) == 0
    assert path.read_bytes() == content


def test_the_lock_that_optuna_leaves_is_removed(tmp_path):
    (tmp_path / f"{JOURNAL}.lock").symlink_to(JOURNAL)  # as by optuna's own tools and before 0.2
    drop_stale_lock(tmp_path / JOURNAL)
    (tmp_path / f"{JOURNAL}.lock").touch()
    drop_stale_lock(tmp_path / JOURNAL)
    drop_stale_lock(tmp_path / JOURNAL)
    assert list(tmp_path.iterdir()) == []


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


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(ResultsError, match=r"cannot write to run folder .*: Permission denied"):
        RunLock(tmp_path / "run.lock")
    tmp_path.chmod(stat.S_IRWXU)


def test_a_lock_names_its_process_and_ends_with_it_when_it_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from results.study import RunLock\n"
        "lock = RunLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        for _ in range(2):  # asking does not make the lock forget whose it is
            with pytest.raises(ResultsError, match=f"is in use by process {process.pid};"):
                RunLock(tmp_path / "run.lock")
        process.send_signal(signal.SIGKILL)
        process.wait()
    RunLock(tmp_path / "run.lock").release()
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
