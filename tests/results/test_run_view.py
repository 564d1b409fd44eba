from dataclasses import replace

import pytest

from lightir_core.errors import ResultsError
from results.objectives import Objective
from results.pareto import dominates
from results.run import RunFolder
from results.run_view import read_run


def test_the_front_is_sorted_and_beaten_by_nobody(finished_run):
    view = read_run(finished_run)
    points = [view.point(trial, view.objectives) for trial in view.finished]
    front = [view.point(trial, view.objectives) for trial in view.front]
    assert len(front) >= 4
    assert front == sorted(front)
    assert not any(dominates(a, b) for a in points for b in front)
    assert view.knee in view.front[1:-1]


def test_axes_are_objectives_and_then_known_costs(finished_run):
    view = read_run(finished_run)
    assert [axis.name for axis in view.axes] == ["psnr_y", "macs", "params"]
    assert view.metric.name == "psnr_y"
    assert [axis.name for axis in view.main_axes] == ["macs", "psnr_y"]


def test_the_best_model_is_not_over_budget(finished_run):
    view = read_run(finished_run)
    assert [model.kind for model in view.models] == ["trained", "pruned"]
    best = max(view.models, key=lambda model: model.scores["psnr_y"])
    assert view.best == best
    models = tuple(replace(m, within_budget=m != best) for m in view.models)
    assert replace(view, models=models).best.id not in ("", best.id)
    models = tuple(replace(m, within_budget=False) for m in view.models)
    assert replace(view, models=models).best is None


def test_where_a_proxy_stood_in_the_models_are_judged_by_their_psnr(finished_run):
    view = read_run(finished_run)
    assert view.quality == view.metric
    proxy = Objective(name="naswot", direction="maximise")
    trials = tuple(replace(t, scores={"naswot": 1.0 + t.number}) for t in view.trials)
    by_proxy = replace(view, objectives=(proxy, *view.objectives[1:]), trials=trials)
    assert by_proxy.metric == proxy
    assert (by_proxy.quality.name, by_proxy.quality.label) == ("psnr_y", "PSNR-Y")
    assert by_proxy.best == view.best
    assert replace(by_proxy, models=()).quality == proxy


def test_hypervolume_is_a_growing_share(finished_run):
    view = read_run(finished_run)
    numbers, shares = zip(*view.hypervolume, strict=True)
    assert list(numbers) == [trial.number for trial in view.finished]
    assert list(shares) == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1


def test_hypervolume_of_five_objectives_is_left_out(finished_run):
    view = read_run(finished_run)
    five = tuple(Objective(name=f"o{i}", direction="minimise") for i in range(5))
    assert replace(view, objectives=five).hypervolume == []


def test_only_the_journal_must_be_there(make_run, tmp_path):
    folder = make_run(tmp_path / "run", trials=4)
    model = min(RunFolder(folder).models.iterdir())
    (model / "result.json").write_text("{")
    RunFolder(folder).config.unlink()
    view = read_run(folder)
    assert len(view.models) == 1
    assert [note.partition(" (")[0].split(" ", 1)[1] for note in view.notes] == [
        "has no config.json",
        f"result of a model {model / 'result.json'} is not JSON",
    ]
    assert view.settings == view.plain_method == {}
    RunFolder(folder).journal.unlink()
    with pytest.raises(ResultsError, match=r"study.journal is missing"):
        read_run(folder)


def test_settings_of_the_wrong_type_count_as_missing(finished_run):
    view = replace(read_run(finished_run), config={"config": 3, "baseline": ["x"]})
    assert view.settings == view.plain_method == {}


def test_budgets_in_plain_numbers_are_limits(finished_run):
    view = read_run(finished_run)

    def limits(budget):
        return replace(view, config={"config": {"budget": budget}}).limits

    assert limits("480k") == {"params": 480_000}
    assert limits("macs=90G,latency=40ms") == {"macs": 90e9, "latency_ms": 40}
    assert limits("60%@grformer") == limits("nonsense") == {}
