import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.journal import Journal, cut_torn_tail, drop_stale_lock
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
    (tmp_path / f"{JOURNAL}.lock").symlink_to(JOURNAL)
    drop_stale_lock(tmp_path / JOURNAL)
    drop_stale_lock(tmp_path / JOURNAL)
    assert list(tmp_path.iterdir()) == []
