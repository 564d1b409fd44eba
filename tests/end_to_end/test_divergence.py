"""A search by a recipe with absurd rates: every training diverges and is begun again."""

import json

import pytest

from results.run import RunFolder
from results.study import Record

WILD = """
steps = 60
batch = 4
patch_px = 8
matrix_lr = 0.05
lr = 0.05
"""
WORDS = (
    "diverged at step 48 with lr=0.05 and matrix_lr=0.05, restarted with lr=0.015 and "
    "matrix_lr=0.015"
)


@pytest.fixture
def searched(in_process, three_photographs, tmp_path):
    (tmp_path / "wild.toml").write_text(WILD)
    ended = in_process(
        *("run", "--space", "small", "--budget", "60k", "--fix", "stages=1", "--fix", "blocks=1"),
        *("--fix", "recursions=1", "--data", three_photographs, "--recipe", "wild.toml"),
        *("--finish-recipe", "wild.toml", "--trials", "2", "--finalists", "1", "--workers", "1"),
        *("--fidelity", "asha", "--time", "0", "--out", "run"),
    )
    assert ended.status == 0, ended.err
    return RunFolder(tmp_path / "run"), ended.err


@pytest.mark.slow
def test_a_search_tells_what_it_began_again(searched, in_process):
    run, told = searched
    trials = Record.open(run.path).trials()
    assert [trial.restart.text for trial in trials] == [WORDS, WORDS]
    assert all(trial.state == "finished" for trial in trials)
    lines = told.splitlines()
    for trial in trials:
        assert any(f"trial {trial.number} (" in line and WORDS in line for line in lines)
    (best,) = {trial.architecture.id for trial in trials} & {p.name for p in run.models.iterdir()}
    assert any(f"note: {best} {WORDS}" in line for line in lines)
    recipe = json.loads((run.models / best / "result.json").read_text())["recipe"]
    assert recipe["lr"] == pytest.approx(0.015)
    assert recipe["restart"] == WORDS
    page = run.report.read_text()
    assert "What diverged and was begun again" in page
    assert f"{WORDS}</td><td" in page
    assert "finished, restarted" in page
    assert WORDS in " ".join(in_process("watch", run.path, "--once").out.split())
