import json
import math
from dataclasses import replace

import pytest

from results.baselines import Baseline
from results.objectives import Objective
from results.report.points import Chart, Point, chart_of
from results.run_view import read_run


@pytest.fixture(scope="module")
def view(finished_run):
    return read_run(finished_run)


def of_kind(chart, kind):
    return [point for point in chart.points if point.kind == kind]


def test_every_finished_trial_is_a_point_with_its_number(view):
    points = of_kind(chart_of(view), "trial")
    assert [p.name for p in points] == [f"trial {t.number}" for t in view.finished]
    best = view.front[0]
    point = next(p for p in points if p.name == f"trial {best.number}")
    assert point.values[0] == best.scores["psnr_y"]
    assert point.href == f"#trial-{best.number}"
    assert sum(p.tags == ("knee",) for p in points) == 1
    assert sum(bool(p.href) for p in points) == len(view.front)


def test_a_stopped_trial_is_a_point_where_it_stood(view):
    last = view.finished[-1]
    stopped = replace(last, state="stopped", reason="stopped at step 9: 2 of 3 did better")
    trials = tuple(stopped if t is last else t for t in view.trials)
    chart = chart_of(replace(view, trials=trials))
    assert len(of_kind(chart, "trial")) == len(view.finished) - 1
    [point] = of_kind(chart, "stopped")
    assert point.name == f"trial {last.number}"
    assert point.values[0] == last.scores["psnr_y"]
    assert point.tags == (stopped.reason,)


def test_the_telling_pair_comes_first_and_all_pairs_have_a_button(view):
    chart = chart_of(view)
    names = [(chart.axes[x].name, chart.axes[y].name) for x, y in chart.pairs]
    assert names == [("macs", "psnr_y"), ("params", "psnr_y"), ("params", "macs")]


def test_many_axes_keep_to_six_buttons():
    axes = tuple(Objective(name=n, direction="minimise") for n in "abcdefg")
    assert len(Chart(axes=axes, points=()).pairs) == 6


def test_a_final_network_is_drawn_on_the_scale_of_the_trials(view):
    on_crops = tuple(replace(model, crop_scores={"psnr_y": 31.5}) for model in view.models)
    points = chart_of(replace(view, models=on_crops)).points
    drawn = [point.values[0] for point in points if point.kind in ("trained", "pruned")]
    assert drawn == [31.5, 31.5] != [model.scores["psnr_y"] for model in view.models]


def test_a_pruned_network_points_back_to_its_parent(view):
    chart = chart_of(view)
    (trained,), (pruned,) = of_kind(chart, "trained"), of_kind(chart, "pruned")
    assert pruned.parent == trained.name
    assert pruned.href == f"#model-{view.models[1].id}"


def test_published_systems_are_two_points_once_they_were_shrunk(view):
    counted = Baseline(name="drt", cost={"params": 1_200_000, "macs": 10**11})
    shrunk = Baseline(
        name="grformer",
        cost={"params": 781_000},
        shrunk="abc",
        shrunk_cost={"params": 390_000, "macs": 10**10},
        scores={"psnr_y": 33.5},
        steps=200,
    )
    chart = chart_of(replace(view, baselines=(counted, shrunk)))
    assert [p.short for p in of_kind(chart, "published")] == ["drt", "grformer"]
    (point,) = of_kind(chart, "shrunk")
    assert point.values == (33.5, 10**10, 390_000)
    assert point.tags == ("200 steps, as the trials",)
    assert math.isnan(of_kind(chart, "published")[0].values[0])


def test_the_json_holds_no_text_that_ends_a_script_and_no_nan():
    axes = (Objective(name="</script>", direction="minimise", label="<!--<script>"),)
    point = Point(kind="trial", name="</script>\u2028", values=(math.nan,), description="a&b")
    text = Chart(axes=axes, points=(point,)).to_json()
    assert "<" not in text
    assert "NaN" not in text
    plain = json.loads(text)
    assert plain["axes"][0]["name"] == "</script>"
    assert plain["points"] == [{"k": "trial", "n": "</script>\u2028", "v": [None], "w": "a&b"}]


def test_a_run_with_a_single_axis_has_one(view):
    bare = tuple(replace(trial, cost={}) for trial in view.finished)
    single = replace(view, objectives=view.objectives[:1], trials=bare)
    assert single.main_axes == (single.metric, single.metric)
    assert chart_of(single).pairs == []
