import json
import math
import re
import shutil
import time
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

import pytest

from lightir_core.errors import ResultsError
from results.baselines import Baseline, write_baselines
from results.models import Crop, add_exports, load_results
from results.objectives import Objective
from results.report.page import build_report, fingerprints, scripts
from results.run import RunFolder, write_config
from results.run_view import read_run
from results.study import Record

HOSTILE = '<script>alert("x")</script>&amp;\'"</style>'


@pytest.fixture(scope="module")
def run(make_run, tmp_path_factory):
    """A finished run with its report."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "sr-x2-480k")
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(run, read):
    return read(RunFolder(run).report.read_text())


def rebuilt(folder, read):
    page = read(build_report(folder).read_text())
    assert page.problems == []
    return page


def test_everything_that_a_run_shows_is_written(run):
    assert RunFolder(run).report == run / "report" / "index.html"
    names = sorted(path.name for path in run.glob("pareto.*"))
    assert names == ["pareto.csv", "pareto.md", "pareto.png", "pareto.svg", "pareto.tex"]


def test_the_page_is_whole(page):
    assert page.problems == []
    assert len(page.ids) == len(set(page.ids))


def test_the_page_needs_nothing_from_outside(page):
    """Links lead within the page and to the models' folders; pictures are inside."""
    inside = ("#", "data:image/png;", "../models/", "../pareto.")
    assert [x for x in page.links if not x.startswith(inside)] == []
    library, own = scripts()
    rest = page.html.replace(library, "")
    assert not re.search(r"https?://|@import|url\(", rest)
    assert page.html.count(library) == page.html.count(own) == 1
    assert {x[1:] for x in page.links if x.startswith("#")} <= set(page.ids)
    assert len(page.html) < 3_000_000


def test_the_headline_answers_the_question(run, page):
    best = max(load_results(run), key=lambda model: model.scores["psnr_y"])
    gain = best.scores["psnr_y"] - best.baseline["psnr_y"]
    for words in (
        f"{best.scores['psnr_y']:.2f} dB",
        f"+{gain:.2f} dB to bicubic (33.66 dB)",
        f"{best.cost['params']:,}",
        "Within budget yes budget 480k",
        f"models/{best.id}",
        "20 trials: 18 finished, 2 failed.",
    ):
        assert words in page.text


def test_every_part_is_there(page):
    titles = ["best", "front", "images", "networks", "learning", "failed", "made", "trials"]
    assert [i for i in page.ids if i in titles] == titles
    for words in (
        "loss is NaN at step 120 2 6, 16",
        "python -m search run --budget 480k --seed 7",
        "astronaut: NASA, public domain",
        "old.png is grayscale",
        "torch 2.13.0",
        "is the knee: ",
        "2026-11-20 09:30 UTC",
    ):
        assert words in page.text


def chart_data(page):
    (text,) = [text for text in page.scripts if text.startswith("{")]
    return json.loads(text)


def test_front_members_can_be_reached_from_the_chart(run, page):
    marks = {p["h"] for p in chart_data(page)["points"] if p.get("h", "").startswith("#trial-")}
    assert len(marks) == len(read_run(run).front) > 1
    assert {mark[1:] for mark in marks} <= set(page.ids)


def test_nothing_but_the_page_s_own_scripts_may_run(page):
    """The policy names them by their hashes, so text that slipped through could not run."""
    policy = next(v["content"] for t, v in page.tags if t == "meta" and "http-equiv" in v)
    hashes = re.findall(r"'sha256-([^']+)'", policy)
    run = [text for text in page.scripts if not text.startswith("{")]
    assert [b64encode(sha256(text.encode()).digest()).decode() for text in run] == hashes
    assert "script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy


def test_d3_comes_with_the_program_and_its_licence():
    d3, own = scripts()
    assert d3.startswith("// https://d3js.org v5.7.0")
    assert '"use strict"' in own
    assert "</script" not in d3 + own
    assert len(re.findall(r"'sha256-[^']+'", fingerprints())) == 2
    licence = (files("results.report") / "LICENSE.d3").read_text()
    assert "Copyright 2010-2017 Mike Bostock" in licence
    assert "Redistributions in binary form must reproduce" in licence


def test_every_network_is_drawn_and_counted_by_part(run, page):
    drawn = [v for t, v in page.tags if t == "svg" and v.get("class") == "diagram"]
    view = read_run(run)
    others = {t.number for t in view.front} - {m.trial for m in view.results}
    assert len(drawn) == len(view.results) + len(others)
    assert page.text.count("Costs by part, MACs for an output of 1280x720") == len(drawn)
    assert page.text.count("Made again by this command, as its trial") == len(view.results)


def test_latency_onnx_and_published_systems_are_told(make_run, tmp_path, read, save):
    folder = make_run(tmp_path / "run", trials=20)
    model = load_results(folder)[0]
    save(folder, replace(model, latency={"320x180": 41.5}, device="Some CPU x2"))
    home = RunFolder(folder).model(model.id)
    add_exports(home, [{"file": "model.onnx", "largest difference to PyTorch": "2e-07 at 48x64"}])
    shrunk = {"params": 390_000, "macs": 2 * 10**10}
    system = Baseline(
        name="grformer", cost={"params": 780_936, "macs": 10**11}, shrunk="x", shrunk_cost=shrunk,
        scores={"psnr_y": 33.0}, steps=200,
    )  # fmt: skip
    write_baselines(folder, [system])
    page = rebuilt(folder, read)
    assert "Time of a forward pass on Some CPU x2 Output latency 320x180 41.5ms" in page.text
    assert "largest difference to PyTorch 2e-07 at 48x64" in page.text
    assert "grformer 100G 780.9k 20G 390k 33.00 dB" in page.text
    assert "SwinIR-light 878K 195.6G" in page.text
    assert {p["k"] for p in chart_data(page)["points"]} >= {"trial", "shrunk", "published"}


def test_a_damaged_list_of_published_systems_is_a_note(make_run, tmp_path, read):
    folder = make_run(tmp_path / "run", trials=5)
    RunFolder(folder).presets.write_text("nonsense")
    assert "presets.json is not JSON" in rebuilt(folder, read).text


def test_the_choices_that_mattered_are_ranked(page):
    place = page.text.index("Which choices mattered")
    assert "width" in page.text[place : place + 600]


def test_pruning_is_told_before_and_after(run, page):
    parent, pruned = load_results(run)
    saved = 1 - pruned.cost["params"] / parent.cost["params"]
    row = f"Parameters {parent.cost['params']:,} {pruned.cost['params']:,} −{100 * saved:.1f} %"
    assert row in page.text


def test_the_charts_of_all_pairs_are_there(page):
    pairs = [values["id"] for tag, values in page.tags if values.get("name") == "pair"]
    assert pairs == ["pair-0", "pair-1", "pair-2"]
    assert "PSNR-Y / MACs PSNR-Y / Parameters MACs / Parameters" in page.text


def test_crops_of_both_networks_stand_side_by_side(page):
    images = [values["alt"] for tag, values in page.tags if tag == "img"]
    assert images[:5] == [
        f"astronaut: {what}"
        for what in ("degraded", "bicubic", "trained, trial 17", "pruned, trial 17", "truth")
    ]
    assert len(images) == 15


def test_the_folder_alone_makes_the_same_page_elsewhere(run, tmp_path):
    moved = shutil.copytree(run, tmp_path / "elsewhere" / run.name)
    shutil.rmtree(moved / "report")
    assert build_report(moved).read_text() == RunFolder(run).report.read_text()


def test_hostile_text_shows_as_text(make_run, tmp_path, read, save):
    folder = make_run(tmp_path / "a <script>b<", trials=3, models=False)
    with Record.open(folder, write=True) as record:
        trial = record.trials()[0]
        record.begin(3, trial.architecture, {}, trial.cost)
        record.fail(3, HOSTILE)
        record.begin(4, replace(trial.architecture, scale=3), {}, trial.cost)
        record.finish(4, {"psnr_y": 40.0})
    model = load_results(make_run(tmp_path / "other", trials=3))[0]
    crop = replace(model.crops[0], name=HOSTILE)
    save(folder, replace(model, notes=(HOSTILE,), crops=(crop,)))
    write_config(
        folder,
        {
            "command": HOSTILE,
            "config": {"task": HOSTILE, "budget": HOSTILE, HOSTILE: [HOSTILE]},
            "baseline": {"name": HOSTILE, "psnr_y": 33.0},
            "data": {"licences": [{"name": HOSTILE}], HOSTILE: None},
        },
    )
    page = rebuilt(folder, read)
    assert sum(tag == "script" for tag, _ in page.tags) == 3  # data, library, own
    assert "<script>alert" not in page.html
    assert page.text.count('<script>alert("x")</script>&amp;') >= 8
    assert page.html.count("</style>") == 1


@pytest.fixture
def bare(tmp_path, objectives):
    Record.create(tmp_path / "bare", objectives).close()
    return tmp_path / "bare"


def test_a_run_without_a_finished_trial(bare, architecture, read):
    page = rebuilt(bare, read)
    assert "No trial has finished yet" in page.text
    assert "has no config.json" in page.text
    with Record.open(bare, write=True) as record:
        record.begin(0, architecture, {}, {"macs": 1})
        record.fail(0, "out of memory")
        record.begin(1, architecture, {}, {"macs": 1})
    page = rebuilt(bare, read)
    assert "2 trials: 0 finished, 1 failed, 1 running; the run is still going on" in page.text
    assert "out of memory 1 0" in page.text


def test_a_front_of_one(bare, architecture, read):
    with Record.open(bare, write=True) as record:
        record.begin(0, architecture, {}, {"macs": 1})
        record.finish(0, {"psnr_y": 30.0})
    page = rebuilt(bare, read)
    assert "Best so far: trial 0, after the short training of the search" in page.text
    assert [p["h"] for p in chart_data(page)["points"]] == ["#trial-0"]


@pytest.mark.parametrize("cost", [{"params": 400_000, "macs": 10**9}, {}], ids=["costs", "bare"])
def test_a_single_objective(tmp_path, architecture, read, cost):
    score = (Objective(name="psnr_y", direction="maximise", unit="dB"),)
    with Record.create(tmp_path / "run", score) as record:
        for number in range(3):
            record.begin(number, architecture, {}, cost)
            record.finish(number, {"psnr_y": 30.0 + number}, [(1, 29.0), (2, 30.0)])
    page = rebuilt(tmp_path / "run", read)
    assert "Best so far: trial 2" in page.text
    assert ("pair-0" in page.ids) == bool(cost)


def test_objectives_that_are_all_costs(tmp_path, architecture, read):
    costs = tuple(Objective(name=n, direction="minimise") for n in ("params", "macs"))
    with Record.create(tmp_path / "run", costs) as record:
        record.begin(0, architecture, {}, {"params": 5, "macs": 7})
        record.finish(0, {})
    assert "Best so far: trial 0" in rebuilt(tmp_path / "run", read).text


def test_scores_that_are_no_numbers(make_run, tmp_path, read, save):
    folder = make_run(tmp_path / "run", trials=5)
    for model in load_results(folder):
        save(folder, replace(model, scores={"psnr_y": math.nan}, curve=((1, math.nan),)))
    page = rebuilt(folder, read)
    assert "Best so far: trial" in page.text
    assert "mean – 33.66 –" in page.text
    assert 'd="Mnan' not in page.html


def test_pictures_that_cannot_be_shown_are_named(make_run, tmp_path, read, save):
    folder = make_run(tmp_path / "run", trials=5)
    model = load_results(folder)[0]
    home = RunFolder(folder).model(model.id)
    (home / "secret.txt").write_text("secret")
    (home / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2_000_000))
    crop = Crop(name="x", lq="../../config.json", baseline="secret.txt", output="large.png", gt="")
    save(folder, replace(model, crops=(crop,)))
    text = rebuilt(folder, read).text
    assert f"config.json of model {model.id}: No such file or directory" in text
    assert f"secret.txt of model {model.id} is not a PNG image" in text
    assert f"large.png of model {model.id} is too large to be shown here" in text


@pytest.mark.slow
@pytest.mark.usefixtures("no_disk_wait")
def test_a_thousand_trials_stay_quick_and_light(make_run, tmp_path):
    """A few times as long as a hundred, not a hundred times; measured: 1.2 s and 1.1 MB."""
    sizes, seconds = [], []
    for trials in (20, 100, 1000):  # the first loads what is loaded once
        folder = make_run(tmp_path / str(trials), trials=trials)
        began = time.process_time()
        sizes.append(build_report(folder).stat().st_size)
        seconds.append(time.process_time() - began)
    assert seconds[2] < 20 * seconds[1]
    assert sizes[2] < 3_000_000


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(ResultsError, match=r"study.journal is missing"):
        build_report(tmp_path)
