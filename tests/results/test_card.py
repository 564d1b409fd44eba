"""The model card says what is known, and its lines of code run."""

import contextlib
import re
from dataclasses import replace

import numpy as np
import pytest

from lightir_core.checkpoints import save_model
from lightir_core.network import build
from results.card import add_exports, read_exports, write_card, write_plain_card
from results.models import ModelResult


@pytest.fixture
def result(architecture):
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


def test_the_card_says_all_that_is_known(tmp_path, result):
    text = write_card(tmp_path, result).read_text()
    for expected in (
        "# " + result.id, "task: sr-x2", "12,345 parameters, 6.7G MACs, 12ms",
        "within its budget of params=13k", "| psnr_y | 33.2500 | 32.5000 | 33.3000 |",
        "training images: 2: a, b", "a: NASA, public domain", "last training: 300 steps",
        "name quick, lr 0.001", "pruned from 0123456789ab",
    ):  # fmt: skip
        assert expected in text, expected


def test_what_nobody_said_is_said_to_be_unknown(tmp_path, architecture):
    text = write_plain_card(tmp_path, architecture).read_text()
    assert "task: not recorded" in text
    assert "Training, data and scores are not recorded" in text


def test_images_without_a_known_licence_are_the_users(tmp_path, result):
    text = write_card(tmp_path, replace(result, data={"training": ["x"] * 500})).read_text()
    assert "training images: 500\n" in text
    assert "the user's own images, their licence applies" in text


def test_exports_are_remembered_by_file(tmp_path, result):
    assert read_exports(tmp_path) == []
    add_exports(tmp_path, [{"file": "model.onnx", "opset": 17}])
    add_exports(
        tmp_path, [{"file": "model-int8.onnx", "opset": 20}, {"file": "model.onnx", "opset": 20}]
    )
    assert [e["opset"] for e in read_exports(tmp_path)] == [20, 20]
    text = write_card(tmp_path, result).read_text()
    assert "- `model.onnx`: opset 20" in text
    assert 'InferenceSession("model.onnx"' in text


def test_the_lines_for_pytorch_run_and_are_five(tmp_path, result):
    save_model(tmp_path, build(result.architecture))
    text = write_card(tmp_path, result).read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(code.splitlines()) == 5
    names = {}
    with contextlib.chdir(tmp_path):
        exec(code, names)
    sides = np.array(names["restored"].shape[2:])
    assert (sides == np.array([48, 64]) * result.architecture.scale).all()
