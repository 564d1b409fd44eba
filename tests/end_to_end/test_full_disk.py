"""A disk that is full or read-only: a clear error, nothing damaged, and `resume` afterwards.

The disk is a small tmpfs in a mount namespace of its own, so that it is really full.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")

SCENARIO = """
mkdir disk
mount -t tmpfs -o size={size} tmpfs disk
set +e
{command} 2> first.txt; echo first $?
cp -r disk/run copy
mount -o remount,size=64m,ro disk
{resume} 2> second.txt; echo second $?
mount -o remount,rw disk
set -e
{resume} 2> third.txt; echo third $?
find disk/run -name '.*' -type f
cp -r disk/run ended
"""

LOOP = (
    "{python} -c 'from pathlib import Path; from benchmarks import kills; "
    'kills._search(Path("disk/run"), "evolution", 60, 0)\''
)


def can_mount():
    try:
        done = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    except FileNotFoundError:
        return False
    return done.returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_mount(), reason="this user may not mount a small disk"),
]


@pytest.fixture
def play(tmp_path):
    """Run the scenario; the exit status of each act, and the folder."""

    def run(size, command, resume):
        script = SCENARIO.format(size=size, command=command, resume=resume)
        done = subprocess.run(
            [*NAMESPACE, "sh", "-ec", script],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        acts = dict(line.split() for line in lines if line.startswith(("first", "second", "third")))
        assert [line for line in lines if line.startswith("disk/")] == []  # no half files
        return {act: int(status) for act, status in acts.items()}, tmp_path

    return run


def test_a_run_on_a_full_disk(play, search_arguments, finished, trials_of):
    python = f"{sys.executable} -m search"
    words = " ".join(map(str, search_arguments)).replace("--out run", "--out disk/run")
    acts, folder = play("200k", f"{python} {words}", f"{python} resume disk/run --quiet")
    assert acts == {"first": 2, "second": 2, "third": 0}
    complaint = (folder / "first.txt").read_text()
    assert "error: cannot write" in complaint
    assert "No space left on device" in complaint
    assert "make room" in complaint
    assert "Traceback" not in complaint
    assert "Read-only file system" in (folder / "second.txt").read_text()
    whole = trials_of(finished[0] / "run")
    before = [trial for trial in trials_of(folder / "copy") if trial[1] == "finished"]
    assert 0 < len(before) < len(whole)
    assert before == [whole[trial[0]] for trial in before]
    assert trials_of(folder / "ended") == whole


def test_a_journal_on_a_full_disk(play, trials_of, tmp_path):
    command = LOOP.format(python=sys.executable)
    acts, folder = play("64k", command, command)
    assert (acts["first"], acts["second"], acts["third"]) == (1, 1, 0)
    assert "No space left on device" in (folder / "first.txt").read_text()
    before = [trial for trial in trials_of(folder / "copy") if trial[1] == "finished"]
    ended = trials_of(folder / "ended")
    assert 0 < len(before) < 60 == len(ended)
    assert before == [ended[trial[0]] for trial in before]
    assert {trial[1] for trial in ended} == {"finished"}
