import contextlib
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from lightir_core.checkpoints import save_model
from lightir_core.errors import ResultsError
from lightir_core.network import build
from results.models import (
    Crop,
    ImageScore,
    ModelResult,
    add_exports,
    load_result,
    load_results,
    read_exports,
    write_card,
)


@pytest.fixture
def result(architecture):
    return ModelResult(
        id=architecture.id,
        kind="trained",
        trial=3,
        architecture=architecture,
        cost={"params": 398_112, "macs": 89_400_000_000},
        scores={"psnr_y": 33.5},
        baseline={"psnr_y": 32.1},
        within_budget=True,
        images=(ImageScore(name="coffee", scores={"psnr_y": 34.0}, baseline={"psnr_y": 33.0}),),
        curve=((100, 32.0), (200, 33.5)),
        seconds=61.5,
        steps=200,
        notes=("fine-tuned",),
        crops=(Crop(name="coffee", lq="lq.png", baseline="b.png", output="o.png", gt="gt.png"),),
    )


def edited(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path.parent


def test_a_result_reads_back_equal(tmp_path, result, save):
    path = save(tmp_path, result)
    assert path == tmp_path / "models" / result.id / "result.json"
    assert load_result(path.parent) == result


def test_infinite_and_missing_scores_survive_as_standard_json(tmp_path, result, save):
    path = save(tmp_path, replace(result, scores={"psnr_y": math.inf, "ssim_y": math.nan}))
    json.loads(path.read_text(), parse_constant=pytest.fail)
    scores = load_result(path.parent).scores
    assert scores["psnr_y"] == math.inf
    assert math.isnan(scores["ssim_y"])


def test_results_come_by_trial_and_parents_first(tmp_path, result, save):
    for model_id, trial, kind in [("c", 3, "pruned"), ("d", 3, "trained"), ("e", 1, "trained")]:
        save(tmp_path, replace(result, id=model_id, trial=trial, kind=kind))
    (tmp_path / "models" / "half").mkdir()  # weights are written before the result
    assert [r.id for r in load_results(tmp_path)] == ["e", "d", "c"]
    assert load_results(tmp_path / "nothing") == []


def test_unknown_keys_of_a_later_minor_version_are_ignored(tmp_path, result, save):
    folder = edited(save(tmp_path, result), latency_ms=4.0)
    assert load_result(folder) == result


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "got 'lightir-model' version 2"),
        (
            {"kind": "grown"},
            r"kind: Input should be 'trained', 'pruned' or 'parent' \(got 'grown'\)",
        ),
        ({"curve": [[1, "high"]]}, r"curve.0.1: .*number"),
        ({"architecture": {}}, "not an architecture"),
    ],
)
def test_a_wrong_result_is_named(tmp_path, result, change, message, save):
    path = save(tmp_path, result)
    with pytest.raises(ResultsError, match=message):
        load_result(edited(path, **change))


@pytest.fixture
def pruned(architecture):
    return ModelResult(
        id=architecture.id,
        kind="pruned",
        trial=3,
        architecture=architecture,
        cost={"params": 12_345, "macs": 6_700_000_000, "latency_ms": 12.0},
        scores={"psnr_y": 33.25, "ssim_y": 0.93},
        parent="0123456789ab",
        baseline={"psnr_y": 32.5, "ssim_y": 0.9},
        within_budget=True,
        steps=300,
        seconds=12.0,
        task="sr-x2",
        data={"training": ["a", "b"], "validation": ["c"], "licences": ["a: NASA, public domain"]},
        recipe={"name": "quick", "lr": 0.001},
        compression={"budget": "params=13k", "parent_scores": {"psnr_y": 33.3, "ssim_y": 0.94}},
    )


def test_the_card_says_all_that_is_known(tmp_path, pruned):
    text = write_card(tmp_path, pruned.architecture, pruned).read_text()
    for expected in (
        "# " + pruned.id, "task: sr-x2", "12,345 parameters, 6.7G MACs, 12ms",
        "within its budget of params=13k", "| psnr_y | 33.2500 | 32.5000 | 33.3000 |",
        "training images: 2: a, b", "a: NASA, public domain", "last training: 300 steps",
        "name quick, lr 0.001", "pruned from 0123456789ab",
    ):  # fmt: skip
        assert expected in text, expected


def test_what_nobody_said_is_said_to_be_unknown(tmp_path, architecture):
    text = write_card(tmp_path, architecture).read_text()
    assert "task: not recorded" in text
    assert "Training, data and scores are not recorded" in text


def test_images_without_a_known_licence_are_the_users(tmp_path, pruned):
    many = replace(pruned, data={"training": ["x"] * 500})
    text = write_card(tmp_path, many.architecture, many).read_text()
    assert "training images: 500\n" in text
    assert "the user's own images, their licence applies" in text


def test_exports_are_remembered_by_file(tmp_path, pruned):
    assert read_exports(tmp_path) == []
    add_exports(tmp_path, [{"file": "model.onnx", "opset": 17}])
    add_exports(
        tmp_path, [{"file": "model-int8.onnx", "opset": 20}, {"file": "model.onnx", "opset": 20}]
    )
    assert [e["opset"] for e in read_exports(tmp_path)] == [20, 20]
    text = write_card(tmp_path, pruned.architecture, pruned).read_text()
    assert "- `model.onnx`: opset 20" in text
    assert 'InferenceSession("model.onnx"' in text


def test_the_lines_for_pytorch_run_and_are_five(tmp_path, pruned):
    save_model(tmp_path, build(pruned.architecture))
    text = write_card(tmp_path, pruned.architecture, pruned).read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(code.splitlines()) == 5
    names = {}
    with contextlib.chdir(tmp_path):
        exec(code, names)
    sides = np.array(names["restored"].shape[2:])
    assert (sides == np.array([48, 64]) * pruned.architecture.scale).all()
