import math
from dataclasses import replace

import pytest
import torch

from benchmarks.recipes.attempt import Attempt
from benchmarks.recipes.document import Setting, run_races, tables
from benchmarks.recipes.race import Entrant, _made, paces, race
from benchmarks.recipes.step import FIRST, Step, measure_steps, table
from benchmarks.recipes.systems import SIZES, SYSTEMS, system
from benchmarks.recipes.tries import TRIES
from lightir_core.data.tasks import parse_task
from lightir_core.errors import DataError
from lightir_core.learning.recipe import PROXY
from search.jobs import Source

SOURCE = Source(task="sr-x2")
SMALL = system("cross-layer", "15k", parse_task("sr-x2"))
WILD = Attempt(recipe=replace(PROXY, lr=1e36, warmup=0.0, optimiser="adam"))


def _trying(name: str) -> Entrant:
    return Entrant(architecture=SMALL, attempt=TRIES[name])


@pytest.mark.parametrize("kind", SYSTEMS)
@pytest.mark.parametrize(("size", "expected"), list(zip(SIZES, (15e3, 90e3, 400e3), strict=True)))
def test_the_networks_have_the_sizes_they_are_named_after(kind, size, expected):
    from lightir_core.network import build

    with torch.device("meta"):
        network = build(system(kind, size, parse_task("sr-x2")))
    params = sum(parameter.numel() for parameter in network.parameters())
    assert params == pytest.approx(expected, rel=0.13)
    assert network.tail.interpolated


def test_every_try_differs_from_the_proxy_in_what_it_is_named_after():
    assert TRIES["proxy"] == Attempt(recipe=PROXY)
    assert len(set(TRIES.values())) == len(TRIES)


def test_the_papers_networks_start_as_torch_starts_them():
    ours = _made(_trying("proxy"), 3).stem.conv.weight
    plain = _made(_trying("papers-2e-3"), 3).stem.conv.weight
    assert ours.mean(dim=(2, 3)).abs().max() < 1e-6 < plain.mean(dim=(2, 3)).abs().max()


def test_a_race_repeats_itself_and_takes_about_its_pace():
    entrant = _trying("proxy")
    one, again = (race(entrant, SOURCE, 40, 0, checks=1) for _ in range(2))
    assert one.curve == again.curve == ((40, one.score),)
    assert one.score > 30
    [pace] = paces([entrant], SOURCE)
    assert 0.3 < one.cpu_s / (40 * pace) < 5


def test_a_slower_recipe_gets_fewer_steps():
    usual, quick = paces([_trying("proxy"), _trying("batch-2")], SOURCE)
    assert quick < usual


def test_a_pace_is_told_of_a_recipe_that_would_diverge():
    [pace] = paces([Entrant(architecture=SMALL, attempt=WILD)], SOURCE, rounds=1)
    assert 0 < pace < 10


def test_a_failed_race_has_no_score():
    assert math.isnan(race(Entrant(architecture=SMALL, attempt=WILD), SOURCE, 20, 0).score)


def test_races_are_kept_and_compared_network_by_network(tmp_path):
    setting = Setting(
        attempts={name: TRIES[name] for name in ("proxy", "papers-2e-4")},
        systems=(("cross-layer", "15k"), ("window", "15k")),
        seconds=(0.4,),
        seeds=1,
        source=SOURCE,
    )
    told = []
    rows = run_races(setting, tmp_path, told.append)
    assert len(rows) == 4
    assert len(told) == 6  # and the times of two networks' steps
    again = run_races(setting, tmp_path, told.append, more=False)
    assert [row["score"] for row in again] == [row["score"] for row in rows]
    assert len(told) == 6
    lines = tables(rows, setting)
    gain = sum(r["score"] * (1 if r["recipe"] == "proxy" else -1) for r in rows) / 2
    [line] = [line for line in lines if line.startswith("| 0.4 | 15k | ")]
    assert f"| {gain:+.2f} ± " in line
    networks = ("cross-layer 15k", "window 15k")
    assert all(any(line.startswith(f"| 0.4 | {name} |") for line in lines) for name in networks)


def test_trained_networks_are_scored_on_test_images_too(tmp_path, folder_of_photographs):
    setting = Setting(
        attempts={name: TRIES[name] for name in ("proxy", "no-skip")},
        systems=(("cross-layer", "15k"),),
        seconds=(0.4,),
        seeds=1,
        source=SOURCE,
        test=folder_of_photographs,
    )
    rows = run_races(setting, tmp_path / "kept", lambda _: None)
    lines = tables(rows, setting)
    name = "/".join(folder_of_photographs.parts[-2:])
    place = lines.index(f"On {name}:")
    assert all(row["test"] != row["score"] for row in rows)
    [told] = [line for line in lines[place:] if line.startswith("| 0.4 | cross-layer 15k | ")]
    scores = " | ".join(f"{row['test']:.2f}" for row in rows)
    assert told.startswith(f"| 0.4 | cross-layer 15k | {scores} | ")
    elsewhere = replace(setting, test=tmp_path / "missing")
    with pytest.raises(DataError, match="missing"):
        run_races(elsewhere, tmp_path / "kept", lambda _: None)


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
    told = tables(rows, _setting("ours", "slow", "good", "wild"))[2]
    scores = "| 60 | 15k | 32.60 | 31.00 | 32.00 | 32.40, 1 failed | +0.60 ± 1.27 |"
    assert told == f"{scores} 1,000 / 1,000 / 1,000 / 1,000 |"


def test_who_was_not_raced_leaves_his_place_empty():
    rows = [_row("ours", 0, 32.5), _row("other", 1, 32.0)]
    told = tables(rows, _setting("ours", "other", "third"))[-1]
    assert told == "| 60 | window 15k | 32.50 | 32.00 |  |  | 1,000 / 1,000 / - |"


def test_a_step_is_taken_apart():
    single, half = measure_steps(SMALL, PROXY, SOURCE)
    assert (single.half, half.half) == (False, True)
    assert min(single.data, single.forward, single.backward, single.update) > 0
    assert single.muon < single.torch_muon
    assert FIRST < 15


def test_the_table_of_steps_tells_the_rate_with_and_without_torchs_muon():
    step = Step(half=False, data=1, forward=4, backward=8, update=7, torch_muon=26, muon=6)
    line = table([("small", 1234, [step])], replace(PROXY, batch=8))[-1]
    assert line == "| small | 1,234 | single | 1.0 | 4.0 | 8.0 | 7.0 | 20.0 | 400 | 200 |"
