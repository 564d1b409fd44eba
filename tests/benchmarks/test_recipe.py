import math
from dataclasses import replace

import pytest

from benchmarks.recipe import CHECKS, Setting, document, race, rows_of, step_seconds
from benchmarks.step import measure_steps
from benchmarks.tries import TRIES, Attempt, system
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import DataError
from lightir_core.learning.recipe import PROXY

SOURCE = ImageSource(task=parse_task("sr-x2"))
SMALL = system("cross-layer", "15k", parse_task("sr-x2"))
WILD = Attempt(recipe=replace(PROXY, lr=1e36, warmup=0.0, optimiser="adam"))


@pytest.mark.slow
def test_a_race_repeats_itself_and_takes_about_its_pace():
    one, again = (race(SMALL, TRIES["proxy"], SOURCE, 40.5, 0) for _ in range(2))
    assert one["curve"] == again["curve"]
    assert len(one["curve"]) == CHECKS
    assert one["curve"][-1] == [40, one["score"]]
    assert one["score"] > 30
    [step_s] = step_seconds(SMALL, [TRIES["proxy"]], SOURCE)
    assert 0.3 < one["cpu_s"] / (40 * step_s) < 5


@pytest.mark.slow
def test_a_slower_recipe_gets_fewer_steps():
    usual, quick = step_seconds(SMALL, [TRIES["proxy"], TRIES["batch-2"]], SOURCE)
    assert quick < usual


def test_a_step_is_timed_of_a_recipe_that_would_diverge():
    [step_s] = step_seconds(SMALL, [WILD], SOURCE, rounds=1)
    assert 0 < step_s < 10


def test_a_failed_race_has_no_score():
    assert math.isnan(race(SMALL, WILD, SOURCE, 20, 0)["score"])


@pytest.mark.slow
def test_races_are_kept_and_compared_network_by_network(tmp_path):
    setting = Setting(
        attempts={name: TRIES[name] for name in ("proxy", "papers-2e-4")},
        systems=(("cross-layer", "15k"), ("window", "15k")),
        seconds=(0.4,),
        seeds=1,
        source=SOURCE,
    )
    told = []
    rows = rows_of(setting, tmp_path, told.append)
    assert len(rows) == 4
    assert len(told) == 6  # and the times of two networks' steps
    again = rows_of(setting, tmp_path, told.append, more=False)
    assert [row["score"] for row in again] == [row["score"] for row in rows]
    assert len(told) == 6
    lines = document(rows, setting)
    gain = sum(r["score"] * (1 if r["recipe"] == "proxy" else -1) for r in rows) / 2
    [line] = [line for line in lines if line.startswith("| 0.4 | 15k | ")]
    assert f"| {gain:+.2f} ± " in line
    networks = ("cross-layer 15k", "window 15k")
    assert all(any(line.startswith(f"| 0.4 | {name} |") for line in lines) for name in networks)


@pytest.mark.slow
def test_trained_networks_are_scored_on_test_images_too(tmp_path, folder_of_photographs):
    setting = Setting(
        attempts={name: TRIES[name] for name in ("proxy", "no-skip")},
        systems=(("cross-layer", "15k"),),
        seconds=(0.4,),
        seeds=1,
        source=SOURCE,
        test=folder_of_photographs,
    )
    rows = rows_of(setting, tmp_path / "kept", print)
    lines = document(rows, setting)
    name = "/".join(folder_of_photographs.parts[-2:])
    place = lines.index(f"On {name}:")
    assert all(row["test"] != row["score"] for row in rows)
    [told] = [line for line in lines[place:] if line.startswith("| 0.4 | cross-layer 15k | ")]
    scores = " | ".join(f"{row['test']:.2f}" for row in rows)
    assert told.startswith(f"| 0.4 | cross-layer 15k | {scores} | ")
    elsewhere = replace(setting, test=tmp_path / "missing")
    with pytest.raises(DataError, match="missing"):
        rows_of(elsewhere, tmp_path / "kept", print)


def _setting(*names: str) -> Setting:
    attempts = dict.fromkeys(names, TRIES["proxy"])
    return Setting(attempts=attempts, systems=(), seconds=(), seeds=1, source=SOURCE)


def _row(recipe: str, seed: int, score: float) -> dict[str, object]:
    known = {"seconds": 60.0, "kind": "window", "size": "15k", "steps": 1000}
    return known | {"recipe": recipe, "seed": seed, "score": score}


def test_the_first_recipe_is_held_against_the_best_other_that_never_failed():
    rows = [_row("ours", 0, 32.5), _row("ours", 1, 32.7)]
    rows += [_row("slow", 0, 31.0), _row("slow", 1, 31.0)]
    rows += [_row("good", 0, 32.0), _row("good", 1, 32.0)]
    rows += [_row("wild", 0, 32.4), _row("wild", 1, math.nan)]
    told = document(rows, _setting("ours", "slow", "good", "wild"))[2]
    scores = "| 60 | 15k | 32.60 | 31.00 | 32.00 | 32.40, 1 failed | +0.60 ± 1.27 |"
    assert told == f"{scores} 1,000 / 1,000 / 1,000 / 1,000 |"


def test_who_was_not_raced_leaves_his_place_empty():
    rows = [_row("ours", 0, 32.5), _row("other", 1, 32.0)]
    told = document(rows, _setting("ours", "other", "third"))[-1]
    assert told == "| 60 | window 15k | 32.50 | 32.00 |  |  | 1,000 / 1,000 / - |"


@pytest.mark.slow
def test_a_step_is_taken_apart():
    single, half = measure_steps(SMALL, PROXY, SOURCE)
    assert (single["half"], half["half"]) == (False, True)
    parts = ("data", "forward", "backward", "update", "muon", "torch_muon")
    assert min(single[part] for part in parts) > 0
