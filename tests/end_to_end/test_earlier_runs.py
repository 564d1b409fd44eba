"""Runs that an earlier version made: resumed, reported, compared and compressed by this one."""

import json
import shutil
from pathlib import Path

import pytest

from results.models import load_results

EARLIER = Path(__file__).parents[1] / "data" / "earlier_runs"

# the processor decides the last digits of a training
SCORE_DB = 0.02


@pytest.fixture
def earlier(tmp_path):
    """Copies of the runs in a folder of the test's own."""
    return Path(shutil.copytree(EARLIER, tmp_path / "runs"))


@pytest.mark.slow
def test_a_killed_run_ends_as_it_would_have_then(in_process, trials_of, earlier):
    ended = in_process("resume", "killed", cwd=earlier)
    assert ended.status == 0, ended.err
    then = json.loads((earlier / "killed.json").read_text())
    now = trials_of(earlier / "killed")
    assert [(t["number"], t["state"], t["id"]) for t in then] == [trial[:3] for trial in now]
    for before, after in zip(then, now, strict=True):
        assert after[5] == pytest.approx(before["scores"], abs=SCORE_DB)
    assert (earlier / "killed" / "report" / "index.html").is_file()


@pytest.mark.parametrize("name", ["finished", "presets"])
def test_a_finished_run_is_reported(in_process, earlier, name):
    ended = in_process("report", name, cwd=earlier)
    assert ended.status == 0, ended.err
    page = (earlier / name / "report" / "index.html").read_text(encoding="utf-8")
    for model in load_results(earlier / name):
        assert model.id in page
    assert ("then shrunk in its own proportions" in page) == (name == "presets")


def test_a_finished_run_has_nothing_left_to_do(in_process, trials_of, earlier):
    before = trials_of(earlier / "finished")
    ended = in_process("resume", "finished", cwd=earlier)
    assert ended.status == 0, ended.err
    assert trials_of(earlier / "finished") == before


def test_runs_are_compared(in_process, earlier):
    ended = in_process("compare", "finished", "presets", "--out", "both", cwd=earlier)
    assert ended.status == 0, ended.err
    assert list((earlier / "both").glob("*.html"))


@pytest.mark.slow
def test_a_network_is_compressed(in_process, earlier):
    ended = in_process(
        "compress", "finished", "--budget", "params=15k", "--steps", "3", "--out", "smaller",
        cwd=earlier,
    )  # fmt: skip
    assert ended.status == 0, ended.err
    card = json.loads((earlier / "smaller" / "result.json").read_text())
    assert card["cost"]["params"] <= 15_000
