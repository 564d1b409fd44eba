import json
import math
from dataclasses import replace

import pytest

from lightir_core.errors import ResultsError
from results.models import Crop, ImageScore, ModelResult, load_result, load_results, save_result


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


def test_a_result_reads_back_equal(tmp_path, result):
    path = save_result(tmp_path, result)
    assert path == tmp_path / "models" / result.id / "result.json"
    assert load_result(path.parent) == result


def test_infinite_and_missing_scores_survive_as_standard_json(tmp_path, result):
    path = save_result(tmp_path, replace(result, scores={"psnr_y": math.inf, "ssim_y": math.nan}))
    json.loads(path.read_text(), parse_constant=pytest.fail)
    scores = load_result(path.parent).scores
    assert scores["psnr_y"] == math.inf
    assert math.isnan(scores["ssim_y"])


def test_results_come_by_trial_and_parents_first(tmp_path, result):
    for model_id, trial, kind in [("c", 3, "pruned"), ("d", 3, "trained"), ("e", 1, "trained")]:
        save_result(tmp_path, replace(result, id=model_id, trial=trial, kind=kind))
    (tmp_path / "models" / "half").mkdir()  # weights are written before the result
    assert [r.id for r in load_results(tmp_path)] == ["e", "d", "c"]
    assert load_results(tmp_path / "nothing") == []


def test_unknown_keys_of_a_later_minor_version_are_ignored(tmp_path, result):
    folder = edited(save_result(tmp_path, result), latency_ms=4.0)
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
def test_a_wrong_result_is_named(tmp_path, result, change, message):
    path = save_result(tmp_path, result)
    with pytest.raises(ResultsError, match=message):
        load_result(edited(path, **change))


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", ".."])
def test_an_id_cannot_leave_the_folder(tmp_path, result, name):
    with pytest.raises(ResultsError, match="is not a plain name"):
        save_result(tmp_path, replace(result, id=name))
