"""From a budget to a report, by the real command: what it leaves, and what can be done with it."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from budgets.assess import reference_size
from budgets.budget import Budget, parse_size
from budgets.price import price
from lightir_core.architecture import from_json
from lightir_core.checkpoints import load_model
from lightir_core.data.tasks import parse_task
from lightir_core.published.presets import PRESETS, preset
from results.baselines import read_baselines
from results.models import load_results
from results.run import RunFolder
from results.study import Record
from search.config import load_config
from tests.end_to_end.conftest import TINY

SIZE = reference_size(parse_task("sr-x2"))


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def run(finished):
    folder, ended = finished
    assert ended.status == 0, ended.err
    return RunFolder(folder / "run")


def test_the_run_folder_holds_what_the_design_says(run):
    names = {path.name for path in run.path.iterdir()}
    assert names >= {"config.json", "study.journal", "checkpoints", "models", "report"}
    assert names >= {"pareto.csv", "pareto.png"}
    assert run.report.is_file()


def test_stdout_is_json_and_progress_is_on_stderr(finished):
    folder, ended = finished
    plain = json.loads(ended.out)
    models = load_results(folder / "run")
    assert [m["id"] for m in plain["models"]] == [m.id for m in models]
    assert plain["report"] == "run/report/index.html"
    assert "search (11)" in ended.err
    for number in range(11):
        assert re.search(rf"trial {number} \(\w{{12}}\): PSNR-Y [\d.]+ dB", ended.err)
    assert "Traceback" not in ended.err
    assert "Warning" not in ended.err


def test_published_systems_were_shrunk_to_the_budget_and_trained_as_the_trials(run):
    rivals = read_baselines(run.path)
    assert [rival.name for rival in rivals] == list(PRESETS)
    trained = [rival for rival in rivals if rival.scores]
    assert len(trained) >= 6
    for rival in rivals:
        assert rival.cost["params"] == price(preset(rival.name), SIZE).params
        assert bool(rival.scores) != bool(rival.reason)
    for rival in trained:
        assert rival.shrunk_cost["params"] <= 10_000
        assert rival.steps == 3
        assert rival.curve[-1] == (3, rival.scores["psnr_y"])


def test_a_final_network_was_timed_at_three_sizes(run):
    for model in load_results(run.path):
        assert list(model.latency) == ["320x180", "640x360", "1280x720"][: len(model.latency)]
        assert all(ms > 0 for ms in model.latency.values())
        assert model.device


def test_every_trial_was_trained_within_a_quarter_over_the_budget(run):
    trials = Record.open(run.path).trials()
    budget, size = Budget.parse("12.5k"), reference_size(parse_task("sr-x2"))
    assert len(trials) == 11
    assert len({trial.architecture.id for trial in trials}) == 11
    for trial in trials:
        cost = price(trial.architecture, size)
        assert budget.allows(cost)
        assert (trial.cost["params"], trial.cost["macs"]) == (cost.params, cost.macs)
        assert trial.state == "finished"
        assert [step for step, _ in trial.curve] == [1, 2, 3]
        assert trial.scores["psnr_y"] == trial.curve[-1][1]


def test_results_are_trained_on_and_pruned_within_budget(run):
    models = load_results(run.path)
    assert [model.kind for model in models] in (["trained", "pruned"], ["parent", "pruned"])
    parent, pruned = models
    assert pruned.parent == parent.id
    assert pruned.cost["params"] < parent.cost["params"]
    if parent.kind == "trained":
        assert pruned.cost["params"] <= 0.75 * parent.cost["params"]
    assert parent.within_budget == (parent.kind == "trained")
    assert pruned.within_budget
    assert pruned.cost["params"] <= 10_000
    assert (run.model(pruned.id) / "README.md").is_file()
    for model in models:
        network = load_model(run.model(model.id))
        assert network.architecture == model.architecture
        assert sum(p.numel() for p in network.parameters()) == model.cost["params"]
        assert model.scores.keys() == {"psnr_y", "ssim_y"} == model.baseline.keys()
        for crop in model.crops:
            for name in (crop.lq, crop.baseline, crop.output, crop.gt):
                assert pixels(run.model(model.id) / name).shape[2] == 3


def test_the_config_says_how_to_repeat_it(run, three_photographs):
    plain = json.loads(run.config.read_text())
    assert plain["command"].startswith(f"python -m search run --space {TINY} --budget 10k")
    [data] = plain["config"]["data"]
    assert Path(data).name == three_photographs.name
    assert plain["versions"].keys() >= {"python", "torch", "optuna"}
    assert plain["baseline"]["name"] == "bicubic"
    assert load_config(run.path).search.trials == 11


def test_the_front_is_a_table(run):
    with run.pareto("csv").open() as file:
        rows = list(csv.DictReader(file))
    trials = {trial.number: trial for trial in Record.open(run.path).trials()}
    models = {model.id: model for model in load_results(run.path)}
    assert {row["kind"] for row in rows} == {"trial", "trained", "pruned"}
    for row in rows:
        known = trials[int(row["trial"])] if row["kind"] == "trial" else models[row["id"]]
        assert known.architecture.id == row["id"]
        assert float(row["psnr_y"]) == pytest.approx(known.scores["psnr_y"], abs=1e-3)
        assert int(row["params"]) == known.cost["params"]
    assert min(pixels(run.pareto("png")).shape[:2]) > 200


def test_the_report_is_one_file_that_needs_nothing_else(run):
    page = run.report.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#|\.\./models/|\.\./pareto\.)[^"]*"', page)
    assert "url(http" not in page
    for model in load_results(run.path):
        assert model.id in page
    assert f"python -m search run --space {TINY}" in page
    assert "bicubic" in page


def test_the_report_is_made_again_from_the_folder_alone(run, in_process, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(run.path, copy)
    shutil.rmtree(copy / "report")
    shutil.rmtree(copy / "checkpoints")
    (copy / "pareto.csv").unlink()
    ended = in_process("report", copy)
    assert (ended.status, ended.out.strip()) == (0, str(copy / "report" / "index.html"))
    assert (copy / "pareto.csv").read_text() == run.pareto("csv").read_text()
    assert "<html" in (copy / "report" / "index.html").read_text()


def test_cost_counts_what_the_record_says(run, in_process):
    [model, *_] = load_results(run.path)
    for what in (run.model(model.id), run.model(model.id) / "architecture.json"):
        ended = in_process("cost", what, "--at", "1280x720", "--json")
        plain = json.loads(ended.out)
        assert (plain["params"], plain["macs"]) == (model.cost["params"], model.cost["macs"])
        assert plain["id"] == model.id
    table = in_process("cost", run.model(model.id), "--at", "640x360").out
    architecture = from_json((run.model(model.id) / "architecture.json").read_text())
    assert f"{price(architecture, parse_size('640x360')).macs:,}" in table


def test_restore_an_image(run, in_process, three_photographs, tmp_path):
    model = run.model(load_results(run.path)[0].id)
    ended = in_process("restore", model, three_photographs / "crop0.png", "big.png")
    assert (ended.status, ended.out.strip(), ended.err) == (0, "big.png", "")
    assert pixels(tmp_path / "big.png").shape == (192, 192, 3)
    assert (tmp_path / "big.png").stat().st_mode & 0o777 == 0o644  # not only for its owner


def test_restore_a_folder_in_tiles(run, in_process, three_photographs, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    shutil.copy(three_photographs / "crop0.png", source / "a.png")
    Image.fromarray(pixels(three_photographs / "crop1.png")[..., 1]).save(source / "b.jpg")
    (source / "c.png").write_text("not an image")
    model = run.model(load_results(run.path)[0].id)
    ended = in_process("restore", model, source, tmp_path / "out", "--tile", "40")
    assert ended.status == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert "c.png: skipped" in ended.err
    assert "b.jpg: grey repeated in three channels" in ended.err
    whole = in_process("restore", model, source / "a.png", tmp_path / "whole.png")
    assert whole.status == 0
    tiled, untiled = (
        pixels(path).astype(int) for path in (tmp_path / "out" / "a.png", tmp_path / "whole.png")
    )
    assert tiled.shape == untiled.shape == (192, 192, 3)
    assert np.abs(tiled - untiled).mean() < 2  # windows are cut elsewhere: close, not equal


def test_the_pruned_network_restores_better_than_nothing(run, in_process, tmp_path, photograph):
    """Three steps teach little, but what comes out is the picture, enlarged."""
    model = run.model(next(m.id for m in load_results(run.path) if m.kind == "pruned"))
    truth = photograph(1)
    small = Image.fromarray(truth).resize((48, 48), Image.Resampling.BICUBIC)
    small.save(tmp_path / "small.png")
    assert in_process("restore", model, tmp_path / "small.png", tmp_path / "big.png").status == 0
    restored = pixels(tmp_path / "big.png").astype(float)
    mse = ((restored - truth) ** 2).mean()
    assert 10 * np.log10(255**2 / mse) > 20


def test_resuming_a_finished_run_does_nothing_again(run, in_process, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    before = {
        p: p.read_bytes() for p in copy.rglob("*") if p.suffix in (".safetensors", ".journal")
    }
    ended = in_process("resume", copy, "--json")
    assert ended.status == 0
    after = {path: path.read_bytes() for path in before}
    assert after == before
    assert [m["id"] for m in json.loads(ended.out)["models"]] == [
        model.id for model in load_results(run.path)
    ]


@pytest.mark.slow
def test_a_finished_run_goes_on_with_all_it_knows(run, in_process, trials_of, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    ended = in_process("resume", copy, "--trials", "+3")
    assert ended.status == 0, ended.err
    before, after = trials_of(run.path), trials_of(copy)
    assert len(after) == len(before) + 3
    assert after[: len(before)] == before
    assert load_config(copy).search.trials == len(after)
    kept = {model.id for model in load_results(run.path)}
    assert kept <= {model.id for model in load_results(copy)}


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--trials", "2"), "candidates were begun already; ask for more, or for +2 more"),
        (("--trials", "many"), "--trials 'many' is no number; write 64, or +32"),
        (("--time", "soon"), "time 'soon' is not a duration; write 90s, 10min or 2h"),
    ],
)
def test_what_a_run_cannot_be_lengthened_by(run, in_process, more, complaint):
    before = run.config.read_bytes()
    ended = in_process("resume", run.path, *more)
    assert ended.status == 2
    assert complaint in ended.complaint
    assert run.config.read_bytes() == before


def test_spaces_are_listed(in_process):
    ended = in_process("spaces")
    assert ended.status == 0
    for name in ("default", "small", "grformer"):
        assert re.search(rf"^\s*{name}\s", ended.out, re.M)
    shown = in_process("spaces", "small").out
    assert "stage: heads" in shown
    assert "2 4" in shown


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("resume", "-h"), ()])
def test_help_shows_a_line_to_paste(in_process, arguments):
    ended = in_process(*arguments)
    assert "python -m search" in ended.out + ended.err
    assert ended.status in (0, 2)


WITHOUT_TORCH = """
import sys
from search.cli.app import main
try:
    main()
finally:
    print("loaded", *sorted({"torch", "ray", "onnx", "skimage"} & sys.modules.keys()))
"""


@pytest.mark.parametrize("name", ["watch", "report", "compare"])
def test_a_run_is_looked_at_without_loading_torch(run, tmp_path, name):
    copy = shutil.copytree(run.path, tmp_path / "run")
    more = {"watch": ["--once"], "compare": [str(run.path), "--out", str(tmp_path / "both")]}
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, name, str(copy), *more.get(name, [])],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "loaded"
