"""Real trainings of a few steps: stopped and resumed they are the same, and they are packed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import trained
from benchmarks.trained import Trainings, read_rows, work
from benchmarks.trained_pack import describe, network_of, pack
from benchmarks.trained_plan import (
    KINDS,
    PARTS,
    Design,
    Training,
    list_trainings,
    make_design,
    transferred,
)
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.curve import Restart
from lightir_core.learning.recipe import PROXY, STANDARD
from results.table import load_table
from search.jobs import Outcome, drive_function
from spaces import DEFAULT, TaskShape

ROOT = Path(__file__).parents[2]
TINY = replace(PROXY.lasting(8), name="tiny", batch=2, patch_px=8)
TIMES = ("seconds", "cpu_s")


def tiny_choices(number):
    return {
        "width": 8 * (number + 1),
        "stages": 1,
        "stage1.blocks": 1,
        "stage1.mixer": "convolution",
        "stage1.closing": "none",
    }


def tiny_design(index, rows):
    """The third is only known when the first is trained, as a mutant is."""
    if index == 2 and 0 not in rows:
        return None
    choices = tiny_choices(index)
    return Design("repeated", DEFAULT.decode(choices, TaskShape(scale=2)), choices)


@pytest.fixture
def images(folder_of_photographs):
    return ImageSource(task=parse_task("sr-x2"), data=(str(folder_of_photographs),))


@pytest.fixture
def begin(tmp_path, images, monkeypatch):
    """Open the trainings of a folder: three of one part, one of another task."""
    monkeypatch.setattr(trained, "make_design", tiny_design)
    plan = [Training(n, n, "sr-x2", TINY) for n in (2, 0, 1)]
    plan.append(Training(20_001, 1, "denoise:25", TINY))

    def opened(name, plan=plan, **kwargs):
        (tmp_path / name).mkdir(exist_ok=True)
        return Trainings(tmp_path / name, plan, images, **kwargs)

    return opened


def without_times(rows):
    return {
        index: {name: value for name, value in row.items() if name not in TIMES}
        for index, row in rows.items()
    }


def test_trainings_that_were_stopped_go_on_to_the_same_rows(begin, tmp_path):
    whole = begin("whole")
    drive_function(whole, work)
    done = []

    def stopped(job):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(job.number)
        return work(job)

    with pytest.raises(KeyboardInterrupt):
        drive_function(begin("stopped"), stopped)
    file = tmp_path / "stopped" / trained.ROWS
    text = file.read_text()
    file.write_text(text[: len(text) - 20])  # the second line was not written whole
    again = begin("stopped")
    assert (done, list(again.rows)) == ([0, 2], [0])
    drive_function(again, work)
    assert without_times(again.rows) == without_times(whole.rows)
    assert without_times(read_rows(tmp_path / "stopped")) == without_times(whole.rows)
    assert again.missing == 0
    assert {path.name for path in (tmp_path / "stopped").iterdir()} == {trained.ROWS}


def test_a_row_holds_all_that_is_known_of_a_training(begin, images):
    trainings = begin("rows")
    drive_function(trainings, work)
    assert list(trainings.rows) == [0, 2, 1, 20_001]
    row = trainings.rows[20_001]
    assert [step for step, _ in row["curve"]] == [1, 2, 4, 6, 8]
    known = {"task": "denoise:25", "recipe": "tiny", "steps": 8, "batch": 2, "patch_px": 8}
    assert row.items() >= {**known, "origin": "repeated", "restart": "", "reason": ""}.items()
    assert row["images"] == ["/".join(images.paths[0].parts[-2:])]
    assert "torch 2" in row["machine"]
    # the same choices on another task: no upsampler
    assert row["choices"] == trainings.rows[1]["choices"]
    assert row["params"] < trainings.rows[1]["params"]


def test_nothing_begins_after_the_deadline(begin):
    trainings = begin("late", deadline=time.monotonic())
    drive_function(trainings, work)
    assert (trainings.rows, trainings.missing) == ({}, 4)


def test_rows_by_another_recipe_are_not_gone_on_with(begin):
    drive_function(begin("rows"), work)
    with pytest.raises(SearchError, match=r"training 0 of .* use another folder"):
        begin("rows", [Training(0, 0, "sr-x2", TINY.lasting(9))])


def test_a_folder_is_for_one_process(tmp_path):
    with (
        trained.locked(tmp_path),
        pytest.raises(SearchError, match="another process"),
        trained.locked(tmp_path),
    ):
        pass


def test_rows_are_packed_and_loaded(begin, tmp_path):
    trainings = begin("rows")
    drive_function(trainings, work)
    first = trainings.rows[0]
    lost = Outcome(number=1, reason="training failed: the loss became nan at step 3")
    again = Restart(step=3, before={"lr": 1.0}, after={"lr": 0.3})
    design = tiny_design(3, {})
    failed, restarted = (
        trained.make_row(Training(n, 3, "sr-x2", TINY), design, outcome, first["images"])
        for n, outcome in ((4, lost), (5, replace(lost, reason=None, restart=again)))
    )
    rows = [*trainings.rows.values(), first | {"index": 3}, failed, restarted]
    packed = pack(rows, tmp_path / "table.json.xz")
    assert list(packed) == list(load_table(tmp_path / "table.json.xz"))
    assert [network.index for network in packed] == [0, 1, 2, 4, 5, 20_001]
    assert [network.index for network in packed if network.is_diverged] == [4, 5]
    assert packed[0] == network_of(first)
    assert packed[0].architecture == tiny_design(0, {}).architecture
    text = "\n".join(describe(packed, tmp_path / "table.json.xz"))
    assert text.startswith("6 trainings of 5 architectures")
    assert "1 failed and have no score; 1 diverged" in text
    assert "| denoise:25 | tiny | 8 | 2x8x8 | 1 |" in text


def test_rows_of_different_images_are_not_packed_together(begin, tmp_path):
    trainings = begin("rows")
    drive_function(trainings, work)
    rows = [trainings.rows[0], trainings.rows[1] | {"images": ["other"]}]
    with pytest.raises(SearchError, match="2 sets of them"):
        pack(rows, tmp_path / "table.json.xz")
    with pytest.raises(SearchError, match="0 sets of them"):
        pack([], tmp_path / "table.json.xz")


def test_the_plan_holds_what_the_table_promises():
    everything = list_trainings(list(PARTS), PROXY, STANDARD)
    assert len({one.index for one in everything}) == len({one.seed for one in everything}) == 1300
    shares = [sum(KINDS[one.source % 10] == kind for one in everything) for kind in set(KINDS)]
    assert sorted(shares) == [260, 260, 260, 520]
    assert everything[0].checks == (50, 100, 200, 300, 400)
    assert everything[-1].checks == (500, 1000, 2000, 3000, 4000)
    assert (everything[-1].recipe.name, everything[-1].recipe.patch_px) == ("standard", 24)
    assert len(list_trainings(["seeds"], PROXY, STANDARD, count=3)) == 3


def test_an_index_stands_for_the_same_design_for_ever():
    """The ids are those of the rows that ship: a change here makes another table."""
    assert make_design(1, {}).architecture.id == "3725a9942167"
    published = make_design(0, {})
    assert (published.origin, published.choices) == ("preset swinir-light 100000", None)
    assert published.architecture.id == "e61ddeb3a944"
    assert transferred(published, "derain").architecture.scale == 1


def test_a_mutant_waits_for_the_blocks_before_its_own():
    drawn = make_design(1, {})
    row = {
        "id": drawn.architecture.id,
        "params": 77_732,
        "curve": [[400, 32.2]],
        "choices": drawn.choices,
        "reason": "",
    }
    rows = dict.fromkeys(range(40), row)
    assert make_design(44, dict.fromkeys(range(39), row)) is None
    child = make_design(44, rows)
    assert child.origin == f"mutant {drawn.architecture.id}"
    assert child.choices != drawn.choices
    assert child == make_design(44, rows | {40: row | {"curve": [[400, 35.0]]}})


@pytest.mark.slow
def test_the_command_is_killed_and_goes_on(folder_of_photographs, tmp_path):
    recipe = tmp_path / "tiny.json"
    recipe.write_text(json.dumps({"steps": 40, "batch": 2, "patch_px": 8}))
    options = ["--data", folder_of_photographs, "--recipe", recipe, "--count", "2", "--parts",
               "sr-x2", "--workers", "1", "--device", "cpu"]  # fmt: skip

    def start(name):
        command = [sys.executable, "-m", "benchmarks", "trained", "--folder", tmp_path / name]
        return subprocess.Popen([*map(str, command), *map(str, options)], cwd=ROOT)

    killed = start("killed")
    while len(read_rows(tmp_path / "killed")) < 1 and killed.poll() is None:
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(read_rows(tmp_path / "killed")) < 2
    assert [start(name).wait() for name in ("killed", "whole")] == [0, 0]
    rows = [without_times(read_rows(tmp_path / name)) for name in ("killed", "whole")]
    assert rows[0] == rows[1]
    assert list(rows[0]) == [0, 1]
