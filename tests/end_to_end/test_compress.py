"""`python -m search compress` on everything that it takes, and on what it does not."""

import contextlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from budgets.budget import Size
from budgets.price import price
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    MlpConfig,
    StageConfig,
    WindowAttentionConfig,
)
from lightir_core.checkpoints import load_model, load_tensors, save_model
from lightir_core.network import build
from lightir_core.published.presets import shrink
from results.models import load_result, load_results

GOLDEN = Path(__file__).parents[1] / "golden"

AT = ("--at", "64x64")
QUICK = (*AT, "--steps", "2", "--device", "cpu", "--quiet")

BLOCK = BlockConfig(
    mixer=WindowAttentionConfig(num_heads=2, window_size=(4, 4)),
    feed_forward=MlpConfig(hidden_dim=16),
)
SMALL = Architecture(width=8, scale=2, stages=(StageConfig(blocks=(BLOCK, BLOCK)),))
PARAMS = price(SMALL, Size(64, 64)).params


@pytest.fixture(scope="module")
def place(tmp_path_factory, finished):
    """A folder with models that can be compressed, and with some that cannot."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    save_model(folder / "model", build(SMALL))
    for name in ("torn", "missing-tensor", "other-shape"):
        shutil.copytree(folder / "model", folder / name)
    weights = folder / "torn" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    wider = Architecture(width=10, scale=2, stages=SMALL.stages)
    (folder / "other-shape" / "architecture.json").write_text(wider.to_json())
    longer = Architecture(width=8, scale=2, stages=SMALL.stages * 2)
    (folder / "missing-tensor" / "architecture.json").write_text(longer.to_json())
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "file").write_text("mine")
    shutil.copytree(finished[0] / "run", folder / "run")
    return folder


def compressed(ended, out):
    assert ended.status == 0, ended.err
    result = load_result(out)
    network = load_model(out)
    assert network.architecture == result.architecture
    assert result.within_budget
    assert (out / "README.md").is_file()
    return result, network


def test_a_model_folder_is_brought_within_its_budget(in_process, place, three_photographs):
    out = place / "out-model"
    ended = in_process(
        "compress", place / "model", "--budget", f"params={PARAMS // 2},macs=3M", *QUICK,
        "--data", three_photographs, "--out", out, "--json",
    )  # fmt: skip
    result, network = compressed(ended, out)
    plain = json.loads(ended.out)
    assert plain["cost"] == result.cost
    assert plain["within_budget"] is True
    assert sum(p.numel() for p in network.parameters()) == result.cost["params"] <= PARAMS // 2
    assert result.cost["macs"] <= 3_000_000
    record = result.compression
    assert record["parent_cost"]["params"] == PARAMS
    assert set(record["parent_scores"]) == {"psnr_y", "ssim_y"}
    assert record["recipe"]["name"] == "quick"
    assert record["distillation"] == {"weight": 0.5, "features": 0.0}


@pytest.mark.slow
def test_the_result_can_be_compressed_again(in_process, place, three_photographs):
    first, second = place / "once", place / "twice"
    for what, share, out in ((place / "model", 0.8, first), (first, 0.6, second)):
        ended = in_process(
            "compress", what, "--budget", f"{round(share * PARAMS)}", *QUICK, "--data",
            three_photographs, "--out", out,
        )  # fmt: skip
        compressed(ended, out)
    assert load_result(second).parent == "once"


@pytest.mark.parametrize("member", ["", "#{id}"])
def test_a_member_of_a_run_is_compressed_on_the_runs_own_images(in_process, place, member):
    [parent, smaller] = load_results(place / "run")
    what = f"{place / 'run'}{member.format(trial=parent.trial, id=parent.id)}"
    out = place / f"member{len(member)}"
    budget = f"params={round(0.85 * smaller.cost['params'])}"
    ended = in_process("compress", what, "--budget", budget, *QUICK, "--out", out)
    result, _ = compressed(ended, out)
    assert result.data["training"] == load_result(out).data["training"] != []
    assert all(name.startswith("crop") for name in result.data["training"])
    if member:
        assert result.parent == parent.id


def test_a_trial_that_was_not_trained_on_is_compressed_from_its_checkpoint(in_process, place):
    kept = {model.trial for model in load_results(place / "run")}
    checkpoints = sorted((place / "run" / "checkpoints").glob("trial-*.safetensors"))
    number = next(int(p.stem.split("-")[1]) for p in checkpoints
                  if int(p.stem.split("-")[1]) not in kept)  # fmt: skip
    out = place / "trial"
    params = sum(t.numel() for n, t in load_tensors(
        place / "run" / "checkpoints" / f"trial-{number:05d}.safetensors")[0].items())  # fmt: skip
    ended = in_process(
        "compress", f"{place / 'run'}#{number}", "--budget", f"params={round(0.6 * params)}",
        *QUICK, "--out", out,
    )  # fmt: skip
    result, _ = compressed(ended, out)
    assert result.trial == number


@pytest.mark.slow
def test_everything_that_training_offers_is_recorded(in_process, place, three_photographs):
    out = place / "all"
    ended = in_process(
        "compress", place / "model", "--budget", f"{PARAMS // 2}", *QUICK, "--data",
        three_photographs, "--out", out, "--importance", "hessian", "--iterations", "2",
        "--sparsity", "0.1", "--features", "0.01", "--distil", "0.7",
    )  # fmt: skip
    result, _ = compressed(ended, out)
    record = result.compression
    assert record["pruning"] == {"importance": "hessian", "iterations": 2, "seed": 0}
    assert record["distillation"] == {"weight": 0.7, "features": 0.01}
    assert record["sparsity"] == 0.1


@pytest.mark.parametrize("importance", ["magnitude", "random"])
def test_no_images_are_needed(in_process, place, importance):
    out = place / f"none-{importance}"
    ended = in_process(
        "compress", place / "model", "--budget", f"{PARAMS // 2}", *QUICK, "--data", "none",
        "--importance", importance, "--out", out,
    )  # fmt: skip
    result, _ = compressed(ended, out)
    assert result.curve == ()
    assert result.steps == 0
    assert result.recipe == {}
    assert result.data["training"] == []
    card = (out / "README.md").read_text()
    assert "last training: none" in card
    assert "training images" not in card
    assert "training and data of the unpruned parent are not recorded" in card


@pytest.mark.slow
def test_what_a_parent_was_trained_on_is_remembered(in_process, place):
    [parent, _] = load_results(place / "run")
    first, second = place / "data-1", place / "data-2"
    run, params = f"{place / 'run'}#{parent.id}", parent.cost["params"]
    for what, share, out in ((run, 0.85, first), (first, 0.7, second)):
        ended = in_process(
            "compress", what, "--budget", f"{round(share * params)}", *QUICK, "--data", "none",
            "--importance", "magnitude", "--out", out,
        )  # fmt: skip
        result, _ = compressed(ended, out)
        assert result.compression["parent_data"] == parent.data
        assert "the unpruned parent was trained on: 2: crop" in (out / "README.md").read_text()


@pytest.mark.slow
def test_a_preset_with_published_weights_is_compressed(in_process, place):
    with np.load(GOLDEN / "swinir_light_tiny.npz") as file:
        tensors = {
            name.removeprefix("param/"): torch.from_numpy(file[name])
            for name in file
            if name.startswith("param/")
        }
    torch.save({"params": tensors}, place / "published.pth")
    out = place / "published"
    ended = in_process(
        "compress", "swinir-light", "--weights", place / "published.pth", "--budget", "25k",
        *QUICK, "--data", "none", "--importance", "magnitude", "--out", out,
    )  # fmt: skip
    result, network = compressed(ended, out)
    assert result.parent == "swinir-light"
    assert "note:" not in ended.err
    # a network with random weights in the place of those of the file would share no norm
    kept = tensors["layers.0.residual_group.blocks.0.norm1.weight"]
    assert all(value in kept for value in network.stages[0].blocks[0].norm1.weight)


def test_weights_that_are_not_the_presets_leave_nothing(in_process, place):
    torch.save({"conv.weight": torch.zeros(3, 3)}, place / "other.pth")
    line = ("compress", "swinir-light", "--weights", place / "other.pth", "--budget", "25k")
    ended = in_process(*line, *QUICK, "--out", place / "never")
    assert ended.status == 2
    assert "the weights lack" in ended.complaint
    assert not (place / "never").exists()


WRONG = {
    "{}/model --budget 1M": (
        rf"nothing to do: params={PARAMS:_} is within 1M already; give a smaller budget"
    ),
    "{}/model --budget 100": (
        r"budget '100' is below what pruning reaches: the smallest has params=[\d_]+; raise"
    ),
    "{}/model --budget params=2k,macs=10k": r"the smallest has params=[\d_]+,macs=[\d_]+",
    "{}/model --budget memory=1KiB": r"the smallest has memory=\d+B; raise",
    "{}/model --budget 2q": "budget '2q': params: count '2q' has the unknown unit 'q'",
    "{}/model --budget 2k --data none": (
        "importance 'taylor' is measured on images, and none are given; give --data, or use "
        "magnitude or random"
    ),
    "{}/model --budget 2k --data none --importance hessian": "'hessian' is measured on images",
    "{}/model --budget 2k --data {}/missing": "missing: there is no such folder",
    "{}/model --budget 2k --importance tailor": "'tailor' is not known; did you mean 'taylor'",
    "{}/model --budget 2k --recipe fast": "recipe 'fast' is not known.*use one of quick, standard",
    "{}/model --budget 2k --iterations 0": "iterations=0; use at least 1",
    "{}/model --budget 2k --task sr-x3": "enlarges by 2; the task needs 3 to 3 and 3; name its own",
    "{}/model --budget 2k --device tpu": "device 'tpu' is not known",
    "{}/model#3 --budget 2k": "model is no run, so it has no #3",
    "{}/torn --budget 2k": "weights.safetensors is not a whole safetensors file",
    "{}/missing-tensor --budget 2k": (
        r"does not fit the network: \d+ missing, first stages.1.blocks.0.norm1.weight \[8\]"
    ),
    "{}/other-shape --budget 2k": r"of another shape, first stem.conv.weight \[8, 3, 3, 3\], exp",
    "{}/empty --budget 2k": "empty holds no architecture.json",
    "{}/nothing --budget 2k": "nothing: there is no such folder; name a run, a model folder or a",
    "{}/run#99 --budget 2k": "has no finished trial or model '99'; its front is made of trials",
    "{}/model --budget 2k --out {}/full": "full exists already; choose another --out",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_usage_leaves_nothing(in_process, place, line):
    out = place / "never"
    words = [word.replace("{}", str(place)) for word in line.split(" ")]
    there = [] if "--out" in words else ["--out", out]
    before = {path for path in place.rglob("*") if path.name != "run.lock"}
    ended = in_process("compress", *QUICK, *words, *there)
    assert ended.status == 2, ended.err
    assert re.search(WRONG[line], ended.complaint), ended.err
    assert {path for path in place.rglob("*") if path.name != "run.lock"} == before


def test_a_preset_without_weights_is_pruned_with_a_warning(in_process, place, monkeypatch):
    monkeypatch.setattr(
        "search.compress.job.preset",
        lambda name, task: shrink(name, lambda a: price(a, Size(64, 64)).params < 12_000, task),
    )
    out = place / "preset"
    ended = in_process(
        "compress", "edsr-baseline", "--budget", "8k", *AT, "--steps", "2", "--device", "cpu",
        "--data", "none", "--importance", "magnitude", "--out", out,
    )  # fmt: skip
    compressed(ended, out)
    assert "note: the preset edsr-baseline has no trained weights" in ended.err


@pytest.mark.slow
def test_a_result_is_exported_with_a_card(in_process, place, three_photographs):
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    out = place / "exported"
    shutil.copytree(place / "model", out)
    ended = in_process("export", out, "--onnx", "--int8", "--data", three_photographs, "--json")
    assert ended.status == 0, ended.err
    made = json.loads(ended.out)["exports"]
    assert [entry["file"] for entry in made] == ["model.onnx", "model-int8.onnx"]
    assert made[0]["opset"] == 20
    assert 5 < made[1]["psnr_y"] <= made[1]["psnr_y of float32"] + 1
    card = (out / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert [len(code.splitlines()) for code in blocks] == [5, 5]
    for code in blocks:
        names = {}
        with contextlib.chdir(out):
            exec(code, names)
        assert names["restored"].shape == (1, 3, 96, 128)


NO_EXPORT = {
    "{}/model": "nothing to export: say --onnx, and --int8 for a quantised form as well",
    "{}/empty --onnx": "empty holds no architecture.json",
    "{}/model --onnx --int8 --data {}/missing": "missing: there is no such folder",
    "{}/model --onnx --int8 --task sr-x3": "enlarges by 2; the task needs 3 to 3 and 3; name its",
    "{}/torn --onnx": "weights.safetensors is not a whole safetensors file",
    "{}/run#99 --onnx": "has no finished trial or model '99'",
}


@pytest.mark.parametrize("line", NO_EXPORT)
def test_wrong_exports_leave_nothing(in_process, place, line):
    before = {path for path in place.rglob("*") if path.name != "run.lock"}
    ended = in_process("export", *(word.replace("{}", str(place)) for word in line.split(" ")))
    assert ended.status == 2, ended.err
    assert re.search(NO_EXPORT[line], ended.complaint), ended.err
    assert {path for path in place.rglob("*") if path.name != "run.lock"} == before
