import math
from dataclasses import replace

import pytest
import torch

from lightir_core.data.tasks import parse_task
from lightir_core.learning.recipe import PROXY
from search.bench.recipes.document import Setting, run_races, tables
from search.bench.recipes.race import Entrant, _made, race
from search.bench.recipes.step import FIRST, Step, measure_steps, table
from search.bench.recipes.systems import SIZES, SYSTEMS, system
from search.bench.recipes.tries import TRIES
from search.evaluators.job import Source

SOURCE = Source(task="sr-x2")
SMALL = system("cross-layer", "15k", parse_task("sr-x2"))


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
    assert TRIES["proxy"] == PROXY
    assert len(set(TRIES.values())) == len(TRIES)


def test_the_papers_networks_start_as_torch_starts_them():
    ours = _made(Entrant(architecture=SMALL, recipe=PROXY), 3).stem.conv.weight
    plain = _made(Entrant(architecture=SMALL, recipe=PROXY, plain_stem=True), 3).stem.conv.weight
    assert ours.mean(dim=(2, 3)).abs().max() < 1e-6 < plain.mean(dim=(2, 3)).abs().max()


def test_a_race_takes_about_its_time_and_repeats_itself():
    short, long = (
        race(Entrant(architecture=SMALL, recipe=PROXY), SOURCE, seconds, 0, checks=1)
        for seconds in (0.3, 1.2)
    )
    assert 1.5 * short.steps < long.steps
    assert 0.3 < long.cpu_s / 1.2 < 3
    assert long.curve == ((long.steps, long.score),)
    assert long.score > 30


def test_a_failed_race_has_no_score():
    wild = replace(PROXY, lr=1e36, warmup=0.0, optimiser="adam")
    assert math.isnan(race(Entrant(architecture=SMALL, recipe=wild), SOURCE, 0.5, 0).score)


def test_races_are_kept_and_compared_network_by_network(tmp_path):
    setting = Setting(
        recipes={name: TRIES[name] for name in ("proxy", "papers-2e-4")},
        systems=(("cross-layer", "15k"), ("window", "15k")),
        seconds=(0.4,),
        seeds=1,
        source=SOURCE,
    )
    told = []
    rows = run_races(setting, tmp_path, told.append)
    assert len(rows) == len(told) == 4
    again = run_races(setting, tmp_path, told.append, more=False)
    assert [row["score"] for row in again] == [row["score"] for row in rows]
    assert len(told) == 4
    lines = tables(rows, list(setting.recipes))
    gain = sum(r["score"] * (1 if r["recipe"] == "papers-2e-4" else -1) for r in rows) / 2
    [line] = [line for line in lines if line.startswith("| 0.4 | all | papers-2e-4 ")]
    assert f"| {gain:+.3f} ± " in line


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
