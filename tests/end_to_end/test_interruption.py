"""Kills and Ctrl-C: the run that was stopped ends as the one that was not."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from lightir_core.checkpoints import load_tensors
from results.models import load_results


def ended_trials(trials_of, folder):
    return [trial for trial in trials_of(folder) if trial[1] != "running"]


def has_trials(trials_of, folder, count):
    """Whether a run has begun and `count` of its trials have ended."""
    begun = (folder / "config.json").exists()
    return begun and len(ended_trials(trials_of, folder)) >= count


def children_of(pid):
    """Processes in the session of `pid`, itself left out."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid and status.parent.name != str(pid) and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def models_of(folder):
    return [(m.id, m.kind, m.trial, m.parent, m.cost, m.scores, m.curve)
            for m in load_results(folder)]  # fmt: skip


def weights_of(folder):
    return {
        model.id: load_tensors(folder / "models" / model.id / "weights.safetensors")[0]
        for model in load_results(folder)
    }


def same_weights(first, second):
    return first.keys() == second.keys() and all(
        first[model].keys() == second[model].keys()
        and all((first[model][name] == tensor).all() for name, tensor in second[model].items())
        for model in first
    )


@pytest.fixture
def check_equal(finished, trials_of):
    """Make sure that a run ended as the one that nobody stopped."""

    def check(folder):
        whole = finished[0] / "run"
        assert trials_of(folder) == trials_of(whole)
        assert models_of(folder) == models_of(whole)
        assert same_weights(weights_of(folder), weights_of(whole))
        assert (folder / "report" / "index.html").is_file()

    return check


def kill(process):
    """As the system would for want of memory: no clean-up, workers not told."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("goals", [(0, 1, 3), (10,)])
def test_killed_anywhere_in_the_search(
    started, search_arguments, trials_of, wait_for, check_equal, tmp_path, goals, command
):
    run = tmp_path / "run"
    for number, goal in enumerate(goals):
        process = started(*(("resume", "run") if number else search_arguments), cwd=tmp_path)
        assert wait_for(process, lambda goal=goal: has_trials(trials_of, run, goal))
        kill(process)
    before = ended_trials(trials_of, run)
    assert goals[-1] <= len(before) < (11 if goals[-1] < 10 else 12)
    resumed = command("resume", "run", "--quiet", cwd=tmp_path)
    assert (resumed.status, resumed.err) == (0, "")
    assert [trial for trial in trials_of(run) if trial in before] == before
    check_equal(run)


@pytest.mark.slow
@pytest.mark.parametrize(
    "landmark",
    [
        "checkpoints/finished-*",
        pytest.param("models/*/architecture.json", marks=pytest.mark.sweep),
        "checkpoints/tuned-*",
        "pareto.csv",
    ],
)
def test_killed_after_the_search(
    started, command, search_arguments, wait_for, check_equal, tmp_path, landmark
):
    process = started(*search_arguments, cwd=tmp_path)
    run = tmp_path / "run"
    assert wait_for(process, lambda: any(run.glob(landmark)))
    kill(process)
    resumed = command("resume", "run", cwd=tmp_path)
    assert resumed.status == 0, resumed.err
    check_equal(run)


@pytest.mark.slow
def test_a_killed_worker_is_no_loss(
    started, search_arguments, trials_of, wait_for, check_equal, tmp_path
):
    process = started(*search_arguments, cwd=tmp_path)
    run = tmp_path / "run"
    assert wait_for(process, lambda: len(ended_trials(trials_of, run)) >= 2)
    for worker in workers_of(process):
        os.kill(worker, signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 0, err
    check_equal(run)


def workers_of(process):
    """Worker processes, from the moment when they start."""
    return [
        child
        for child in children_of(process.pid)
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ended", "times"),
    [(None, 1), pytest.param(0, 2, marks=pytest.mark.sweep), (3, 1), (3, 2)],
)
def test_ctrl_c_leaves_a_run_that_goes_on(
    started, command, search_arguments, trials_of, wait_for, check_equal, tmp_path, ended, times
):
    process = started(*search_arguments, cwd=tmp_path)
    run = tmp_path / "run"
    if ended is None:  # while the workers start
        assert wait_for(process, lambda: workers_of(process))
    else:
        assert wait_for(process, lambda: has_trials(trials_of, run, ended))
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)  # a terminal tells every process of the command
        time.sleep(0.2)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    if times == 1:  # what ran is finished and told; the note comes from the display
        assert "stopping: what is running will be finished and kept" in err
        assert (run / "report" / "index.html").is_file()
    assert "interrupted; nothing that was finished is lost\n" in err
    assert "go on with:  python -m search resume run\n" in err
    assert "Traceback" not in err
    assert out == ""
    assert wait_for(None, lambda: children_of(process.pid) == [], seconds=10)
    before = ended_trials(trials_of, run)
    resumed = command("resume", "run", "--quiet", cwd=tmp_path)
    assert (resumed.status, resumed.err) == (0, "")
    assert [trial for trial in trials_of(run) if trial in before] == before
    check_equal(run)


@pytest.mark.slow
def test_a_run_that_is_under_way_is_not_resumed_by_another(
    started, command, search_arguments, trials_of, wait_for, check_equal, tmp_path
):
    process = started(*search_arguments, cwd=tmp_path)
    run = tmp_path / "run"
    assert wait_for(process, lambda: len(ended_trials(trials_of, run)) >= 1)
    process.send_signal(signal.SIGSTOP)  # it must not end before the second one has started
    second = command("resume", "run", cwd=tmp_path)
    process.send_signal(signal.SIGCONT)
    assert second.status == 2
    assert f"is in use by process {process.pid}" in second.complaint
    assert "Traceback" not in second.err
    _, err = process.communicate()
    assert process.returncode == 0, err
    check_equal(run)


@pytest.mark.slow
def test_workers_change_nothing_but_the_time(command, search_arguments, check_equal, tmp_path):
    ended = command(*search_arguments, "--workers", "2", cwd=tmp_path)
    assert ended.status == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["config"]["workers"] == 2
    check_equal(tmp_path / "run")
