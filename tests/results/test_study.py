import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from lightir_core.errors import ResultsError
from lightir_core.learning.curve import Restart
from results.objectives import Objective
from results.study import JOURNAL, LOCK, STUDY, Record

CHOICES = {"width": 48, "window": "8x8", "shift": None, "groups.0": 2}
COST = {"params": 398_112, "macs": 89_400_000_000}


def study_of(folder):
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    return optuna.load_study(study_name=STUDY, storage=storage)


def lines_of(record):
    return (record.folder / JOURNAL).read_bytes().count(b"\n")


def test_a_trial_keeps_its_whole_story(record, architecture):
    record.begin(0, architecture, CHOICES, COST)
    (running,) = record.trials()
    assert (running.state, running.scores, running.finished) == ("running", {}, None)
    record.finish(0, {"psnr_y": 33.5, "ssim_y": 0.91}, [(100, 32.0), (200, math.nan)], 12.5)
    record.close()
    for source in (record, Record.open(record.folder)):
        (trial,) = source.trials()
        assert trial.state == "finished"
        assert trial.architecture == architecture
        assert trial.choices == CHOICES
        assert trial.cost == COST
        assert trial.scores == {"psnr_y": 33.5, "ssim_y": 0.91}
        assert trial.curve[0] == (100, 32.0)
        assert math.isnan(trial.curve[1][1])
        assert trial.seconds == 12.5
        assert trial.started <= trial.finished
        assert abs(trial.finished - datetime.now(UTC)) < timedelta(minutes=1)


def test_objectives_come_back_from_the_folder(record, objectives):
    assert Record.open(record.folder).objectives == objectives


def test_a_failed_trial_keeps_its_reason(record, architecture):
    record.begin(0, architecture, {}, COST)
    record.fail(0, "out of memory at step 40", curve=[(20, 30.0)], seconds=3.0)
    (trial,) = record.trials()
    assert (trial.state, trial.reason) == ("failed", "out of memory at step 40")
    assert (trial.curve, trial.seconds, trial.scores) == (((20, 30.0),), 3.0, {})


def test_a_trial_stopped_at_a_rung_keeps_what_it_scored_there(record, architecture):
    record.begin(0, architecture, {}, COST)
    record.report(0, 3, {"psnr_y": 30.0}, [(1, 29.0), (3, 30.0)], seconds=2.0)
    record.report(0, 9, {"psnr_y": 31.0}, [(1, 29.0), (3, 30.0), (9, 31.0)], seconds=1.5)
    running = Record.open(record.folder).trial(0)
    assert running.state == "running"
    assert running.rungs == ((3, {"psnr_y": 30.0}), (9, {"psnr_y": 31.0}))
    record.stop(0, "stopped at step 9: 2 of 3 did better")
    trial = Record.open(record.folder).trial(0)
    assert trial.state == "stopped"
    assert trial.scores == {"psnr_y": 31.0}
    assert trial.curve[-1] == (9, 31.0)
    assert trial.seconds == 3.5
    assert trial.reason == "stopped at step 9: 2 of 3 did better"


def test_a_restart_is_part_of_the_story(record, architecture):
    restart = Restart(step=48, before={"lr": 0.1}, after={"lr": 0.03})
    record.begin(0, architecture, {}, {"params": 9, "macs": 9})
    with pytest.raises(ResultsError, match="trial 1 was never begun"):
        record.restart(1, restart)
    record.restart(0, restart)
    record.report(0, 3, {"psnr_y": 30.0})
    record.stop(0, "because")
    assert Record.open(record.folder).trial(0).restart == restart


def test_seconds_add_up_over_rungs(record, architecture):
    record.begin(0, architecture, {}, COST)
    record.report(0, 3, {"psnr_y": 30.0}, seconds=2.0)
    record.finish(0, {"psnr_y": 31.0}, seconds=0.5)
    assert record.trial(0).seconds == 2.5


def test_without_a_rung_there_is_nothing_to_stop_at(record, architecture):
    record.begin(0, architecture, {}, COST)
    with pytest.raises(ResultsError, match="trial 0 has reached no rung"):
        record.stop(0, "because")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_a_failure(record, architecture, value):
    record.begin(0, architecture, {}, COST)
    record.finish(0, {"psnr_y": value}, [(10, value)], 1.0)
    (trial,) = record.trials()
    assert trial.state == "failed"
    assert trial.reason == f"psnr_y is {value}"


def test_each_trial_costs_two_appends_and_one_fsync_each(record, architecture, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(1), fsync(descriptor)))
    record.begin(0, architecture, CHOICES, COST)
    record.finish(0, {"psnr_y": 33.5}, [(100, 32.0)], 12.5)
    assert len(synced) == 2


@pytest.mark.usefixtures("no_disk_wait")
def test_the_price_of_a_trial_stays_flat(record, architecture):
    """Measured: 2.8 ms of CPU a trial, the same at 100 and at 2,000 trials."""
    marks = [time.process_time()]
    for number in range(400):
        record.begin(number, architecture, CHOICES, COST)
        record.finish(number, {"psnr_y": 33.0}, [(s, 30.0) for s in range(10)], 1.0)
        if number in (99, 299, 399):
            marks.append(time.process_time())
    first, last = (marks[1] - marks[0]) / 100, (marks[3] - marks[2]) / 100
    assert last < 0.010
    assert last < 2.5 * first


def test_optuna_reads_the_record_as_its_own(record, architecture):
    for number, (width, psnr) in enumerate([(24, 32.0), (48, 33.0), (60, 33.0)]):
        record.begin(number, architecture, {"width": width}, {"macs": width})
        record.finish(number, {"psnr_y": psnr})
    record.begin(3, architecture, {"width": 24}, {"macs": 1})
    study = study_of(record.folder)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["psnr_y", "macs"]
    assert [t.number for t in study.best_trials] == [0, 1]
    assert study.trials[1].params == {"width": 48}
    assert study.trials[1].values == [33.0, 48.0]
    assert study.trials[3].state == optuna.trial.TrialState.RUNNING
    importances = optuna.importance.get_param_importances(
        study,
        target=lambda trial: trial.values[0],
        evaluator=optuna.importance.FanovaImportanceEvaluator(n_trees=4, seed=0),
    )
    assert list(importances) == ["width"]


def test_choices_outside_the_space_are_kept_but_are_no_parameters(record, architecture):
    record.begin(0, architecture, {"width": 100, "seeded": True}, COST)
    assert record.trials()[0].choices == {"width": 100, "seeded": True}
    assert study_of(record.folder).trials[0].params == {}


def test_a_reader_follows_a_run_that_goes_on(record, architecture):
    reader = Record.open(record.folder)
    assert reader.trials() == []
    record.begin(0, architecture, CHOICES, COST)
    assert [t.state for t in reader.trials()] == ["running"]
    record.finish(0, {"psnr_y": 30.0})
    assert [t.state for t in reader.trials()] == ["finished"]
    assert len(reader) == 1


def test_a_killed_trial_begins_again_under_its_number(record, architecture):
    record.begin(0, architecture, CHOICES, COST)
    record.close()
    with Record.open(record.folder, write=True) as resumed:
        before = lines_of(resumed)
        resumed.begin(0, architecture, CHOICES, COST)
        assert lines_of(resumed) == before
        with pytest.raises(ResultsError, match=r"trial 0 is running with architecture .*, not "):
            resumed.begin(0, replace(architecture, scale=3), CHOICES, COST)
        resumed.finish(0, {"psnr_y": 31.0})
        assert resumed.trials()[0].scores == {"psnr_y": 31.0}


@pytest.mark.parametrize("keep", [1, 20, 400], ids=lambda n: f"{n} bytes")
def test_a_torn_last_line_is_not_read_and_cut_before_going_on(record, architecture, keep):
    record.begin(0, architecture, CHOICES, COST)
    whole = (record.folder / JOURNAL).read_bytes()
    record.finish(0, {"psnr_y": 31.0})
    record.close()
    torn = whole + whole.splitlines()[-1][:keep]
    (record.folder / JOURNAL).write_bytes(torn)
    assert [t.state for t in Record.open(record.folder).trials()] == ["running"]
    assert (record.folder / JOURNAL).read_bytes() == torn  # readers change nothing
    with Record.open(record.folder, write=True) as resumed:
        assert (record.folder / JOURNAL).read_bytes() == whole
        resumed.finish(0, {"psnr_y": 32.0})
    assert Record.open(record.folder).trials()[0].scores == {"psnr_y": 32.0}


def test_a_file_that_is_no_journal_is_refused_and_left_alone(record):
    path = record.folder / JOURNAL
    record.close()
    for content in (b"a letter\nto grandmother", b"no newline", b"", b'{"op_code": 1}\n', b"7\n"):
        path.write_bytes(content)
        with pytest.raises(ResultsError, match=r"damaged or not the journal of a LightIR run"):
            Record.open(record.folder, write=True)
        assert content.startswith(path.read_bytes())


def test_a_trial_of_another_program_is_named(record):
    study_of(record.folder).ask()
    with pytest.raises(ResultsError, match=r"trial 0 in .* has no usable architecture"):
        record.trials()


def test_missing_folders_and_journals_are_named(tmp_path):
    with pytest.raises(ResultsError, match=r"nowhere does not exist"):
        Record.open(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match=r"is not a run folder: study.journal is missing"):
        Record.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_created_twice(record, objectives):
    record.close()
    with pytest.raises(ResultsError, match="already holds a run; resume it"):
        Record.create(record.folder, objectives)
    Record.open(record.folder, write=True).close()  # the refusal freed the lock


def test_objectives_must_be_distinct(tmp_path, objectives):
    with pytest.raises(ResultsError, match="must be at least one"):
        Record.create(tmp_path, ())
    with pytest.raises(ResultsError, match=r"\['macs', 'macs'\]"):
        Record.create(tmp_path, [Objective(name="macs", direction="minimise")] * 2)


def test_only_one_process_writes(record):
    with pytest.raises(ResultsError, match=f"in use by process {os.getpid()}; wait for it"):
        Record.open(record.folder, write=True)
    record.close()
    Record.open(record.folder, write=True).close()


def test_the_lock_of_a_killed_process_is_free(record, architecture):
    record.begin(0, architecture, CHOICES, COST)
    record.close()
    # The child also leaves optuna's own lock behind, for which optuna would wait 30 s.
    code = (
        "import sys, time; from pathlib import Path; from results.study import Record\n"
        "folder = Path(sys.argv[1]); record = Record.open(folder, write=True)\n"
        "(folder / 'study.journal.lock').symlink_to('study.journal')\n"
        "print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, record.folder], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(ResultsError, match=f"in use by process {child.pid}"):
            Record.open(record.folder, write=True)
        child.send_signal(signal.SIGKILL)
        child.wait()
    began = time.monotonic()
    with Record.open(record.folder, write=True) as resumed:
        resumed.finish(0, {"psnr_y": 30.0})
    assert time.monotonic() - began < 10


def test_misused_numbers_are_refused(record, architecture):
    with pytest.raises(ResultsError, match="trial 1 cannot begin: the next number is 0"):
        record.begin(1, architecture, {}, COST)
    with pytest.raises(ResultsError, match="trial 4 was never begun; there are 0"):
        record.finish(4, {"psnr_y": 1.0})
    record.begin(0, architecture, {}, {})
    with pytest.raises(ResultsError, match="no value for objective 'macs'; got"):
        record.finish(0, {"psnr_y": 30.0})
    record.fail(0, "interrupted")
    with pytest.raises(ResultsError, match="trial 0 has already failed; take number 1"):
        record.fail(0, "again")
    record.close()
    with pytest.raises(ResultsError, match="open for reading; use write=True"):
        record.begin(1, architecture, {}, COST)


def test_a_full_disk_leaves_a_journal_that_goes_on(record, architecture, monkeypatch):
    record.begin(0, architecture, CHOICES, COST)
    whole = (record.folder / JOURNAL).read_bytes()

    def torn_write(self, logs):
        with (record.folder / JOURNAL).open("ab") as file:
            file.write(b'{"op_code": 8, "wor')
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", torn_write)
        with pytest.raises(ResultsError, match="No space left on device; the run is complete"):
            record.finish(0, {"psnr_y": 30.0})
    assert (record.folder / JOURNAL).read_bytes() == whole
    record.finish(0, {"psnr_y": 31.0})
    assert record.trials()[0].scores == {"psnr_y": 31.0}


@pytest.fixture
def forbidden_folder():
    """A folder that this process may read but not write, also when the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nobody: root may write anywhere
    yield folder
    os.seteuid(user)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_a_folder_that_cannot_be_written(forbidden_folder, objectives):
    with pytest.raises(ResultsError, match=r"cannot write to run folder .*: Permission denied"):
        Record.create(forbidden_folder, objectives)
    with pytest.raises(ResultsError, match=r"cannot make run folder .*/run: Permission denied"):
        Record.create(forbidden_folder / "run", objectives)


def test_a_finished_run_in_a_read_only_folder_can_be_read(record, architecture):
    record.begin(0, architecture, CHOICES, COST)
    record.close()
    for file in (record.folder / JOURNAL, record.folder / LOCK):
        file.chmod(0o444)
    record.folder.chmod(0o555)
    assert len(Record.open(record.folder).trials()) == 1
    record.folder.chmod(0o755)


def test_a_trial_remembers_where_its_workers_were_lost(record, architecture):
    record.begin(0, architecture, {}, {"macs": 1})
    record.lose(0, ["node1"])
    record.lose(0, ["node2, then on from step 40"])
    assert record.trial(0).losses == ("node1", "node2, then on from step 40")
    assert record.trial(0).state == "running"
