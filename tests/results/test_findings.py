from dataclasses import replace

import pytest

from lightir_core.errors import ResultsError
from results.findings import read_findings
from results.objectives import Objective
from results.pareto import dominates
from results.run import RunFolder


def test_the_front_is_sorted_and_beaten_by_nobody(finished_run):
    findings = read_findings(finished_run)
    points = [findings.point(trial, findings.objectives) for trial in findings.finished]
    front = [findings.point(trial, findings.objectives) for trial in findings.front]
    assert len(front) >= 4
    assert front == sorted(front)
    assert not any(dominates(a, b) for a in points for b in front)
    assert findings.knee in findings.front[1:-1]


def test_axes_are_objectives_and_then_known_costs(finished_run):
    findings = read_findings(finished_run)
    assert [axis.name for axis in findings.axes] == ["psnr_y", "macs", "params"]
    assert findings.metric.name == "psnr_y"


def test_the_best_model_is_not_over_budget(finished_run):
    findings = read_findings(finished_run)
    assert [model.kind for model in findings.models] == ["trained", "pruned"]
    best = max(findings.models, key=lambda model: model.scores["psnr_y"])
    assert findings.best == best
    models = tuple(replace(m, within_budget=m != best) for m in findings.models)
    assert replace(findings, models=models).best.id not in ("", best.id)
    models = tuple(replace(m, within_budget=False) for m in findings.models)
    assert replace(findings, models=models).best is None


def test_where_a_proxy_stood_in_the_models_are_judged_by_their_psnr(finished_run):
    findings = read_findings(finished_run)
    assert findings.quality == findings.metric
    proxy = Objective(name="naswot", direction="maximise")
    trials = tuple(replace(t, scores={"naswot": 1.0 + t.number}) for t in findings.trials)
    by_proxy = replace(findings, objectives=(proxy, *findings.objectives[1:]), trials=trials)
    assert by_proxy.metric == proxy
    assert (by_proxy.quality.name, by_proxy.quality.label) == ("psnr_y", "PSNR-Y")
    assert by_proxy.best == findings.best
    assert replace(by_proxy, models=()).quality == proxy


def test_hypervolume_is_a_growing_share(finished_run):
    findings = read_findings(finished_run)
    numbers, shares = zip(*findings.hypervolume, strict=True)
    assert list(numbers) == [trial.number for trial in findings.finished]
    assert list(shares) == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1


def test_hypervolume_of_five_objectives_is_left_out(finished_run):
    findings = read_findings(finished_run)
    five = tuple(Objective(name=f"o{i}", direction="minimise") for i in range(5))
    assert replace(findings, objectives=five).hypervolume == []


def test_only_the_journal_must_be_there(make_run, tmp_path):
    folder = make_run(tmp_path / "run", trials=4)
    model = min(RunFolder(folder).models.iterdir())
    (model / "result.json").write_text("{")
    RunFolder(folder).config.unlink()
    findings = read_findings(folder)
    assert len(findings.models) == 1
    assert [note.partition(" (")[0].split(" ", 1)[1] for note in findings.notes] == [
        "has no config.json",
        f"result of a model {model / 'result.json'} is not JSON",
    ]
    assert findings.settings == findings.baseline == {}
    RunFolder(folder).journal.unlink()
    with pytest.raises(ResultsError, match=r"study.journal is missing"):
        read_findings(folder)


def test_settings_of_the_wrong_type_count_as_missing(finished_run):
    findings = replace(read_findings(finished_run), config={"config": 3, "baseline": ["x"]})
    assert findings.settings == findings.baseline == {}
