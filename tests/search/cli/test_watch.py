import io
import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.learning.curve import Restart
from results.objectives import Objective
from results.run import RunFolder, write_config
from results.run_view import read_run
from results.study import Record
from search.cli.progress import is_over, phase_of, picture
from search.config import SearchConfig, describe
from search.forecast import SEARCH, TRAIN_ON

KINDS = (
    Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    Objective(name="macs", direction="minimise", unit="MACs", label="MACs"),
)
ARCHITECTURE = Architecture(
    width=8, stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)
)
COST = {"params": 1000, "macs": 10**9}


@pytest.fixture
def run(tmp_path):
    """A run of four trials of which one has ended, one failed, one is running."""
    folder = tmp_path / "run"
    with Record.create(folder, KINDS) as record:
        write_config(folder, describe(SearchConfig(trials=4, workers=1, finalists=2)))
        for number in range(3):
            record.begin(number, ARCHITECTURE, {}, COST)
        record.finish(0, {"psnr_y": 30.5}, seconds=10.0)
        record.fail(1, "loss [red]NaN")
    return folder


def shown(folder):
    console = Console(file=io.StringIO(), width=100)
    console.print(picture(read_run(folder)))
    return console.file.getvalue()


def test_a_run_that_goes_on_is_told_with_its_front_failures_and_time(run):
    text = " ".join(shown(run).split())
    assert "3 of 4 trials: 1 finished, 1 failed, 1 running" in text
    assert "now: search, about" in text
    assert "more in all" in text
    assert "1 failed: loss [red]NaN" in text
    assert "0 30.500 dB 1G 1k" in text


def test_a_restart_is_told(run):
    with Record.open(run, write=True) as record:
        record.restart(2, Restart(step=41, before={"lr": 0.1}, after={"lr": 0.03}))
    text = " ".join(shown(run).split())
    assert "trial 2 diverged at step 41 with lr=0.1, restarted with lr=0.03" in text


def test_the_phase_is_read_from_the_folder(run):
    assert phase_of(read_run(run)) == SEARCH
    with Record.open(run, write=True) as record:
        record.finish(2, {"psnr_y": 30.0}, seconds=1.0)
        record.begin(3, ARCHITECTURE, {}, COST)
        record.fail(3, "x")
    assert phase_of(read_run(run)) == TRAIN_ON


def test_a_run_is_over_when_its_report_is_the_newest(run):
    assert not is_over(read_run(run))
    report = RunFolder(run).report
    report.parent.mkdir()
    report.touch()
    assert is_over(read_run(run))
    assert "index.html" in "".join(shown(run).split())
    os.utime(report, (1, 1))
    assert not is_over(read_run(run))


def test_a_run_that_lies_still_for_an_hour_is_over(run):
    for path in Path(run).rglob("*"):
        os.utime(path, (time.time() - 4000,) * 2)
    assert is_over(read_run(run))


def test_settings_of_another_version_leave_the_time_out(run):
    write_config(run, {"config": {"unknown": 1, "trials": 4}})
    assert "more in all" not in shown(run)
