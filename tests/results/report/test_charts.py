import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from results.objectives import Objective
from results.report import charts
from results.report.charts import (
    Curve,
    curves_figure,
    draw,
    hypervolume_figure,
    hypervolume_in_time_figure,
    models_figure,
    sparkline,
    volumes_figure,
)
from results.run_view import read_run

TOP, BOTTOM = 34, 314  # of the plot, in the units of its view box
X = Objective(name="macs", direction="minimise", label="MACs")
Y = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR <Y>")


@pytest.fixture(scope="module")
def view(finished_run):
    return read_run(finished_run)


def paths(figure, css):
    found = ElementTree.fromstring(figure).iter()
    return [e for e in found if e.attrib.get("class", "").startswith(f"line {css}")]


def heights(path):
    return [float(point.split()[1]) for point in path.attrib["d"][1:].split("L")]


def test_a_figure_is_well_formed_escaped_and_titled():
    curves = [
        Curve([(1e9, 30.0), (3e9, 34.0)], "accent", 'a "b" <c>'),
        Curve([(1e9, 31.0), (2e9, 31.5), (3e9, 32.0)], "faint", "&", stairs=True),
        Curve([(1e9, 31.0), (2e9, 31.0), (math.nan, math.nan), (1e9, 32.0), (2e9, 32.0)], "quiet"),
    ]
    figure = draw((X, Y), ((1e9, 3e9), (30, 34)), curves, "what <it> shows")
    root = ElementTree.fromstring(figure)
    assert root.attrib["aria-label"] == "what <it> shows"
    words = [element.text for element in root.iter() if element.tag in ("text", "title")]
    assert {"MACs", "PSNR <Y> (dB)", "2G", 'a "b" <c>', "&"} <= set(words)
    ((straight,), (stairs,), (parts,)) = (paths(figure, c) for c in ("accent", "faint", "quiet"))
    assert straight.attrib["d"] == "M64 314L548 34"
    assert heights(stairs) == [244, 244, 209, 209, 174]
    assert parts.attrib["d"].count("M") == 2
    assert {element.tag for element in root.iter()} == {"svg", "path", "text", "title"}
    assert set(root.attrib) == {"viewBox", "role", "aria-label"}
    assert not any({"style", "id", "clip-path"} & set(e.attrib) for e in root.iter())


def test_ticks_are_few_round_and_inside():
    for low, high in ((0.0, 1.0), (33.02, 33.97), (-1e12, 3e12), (5, 5.001)):
        figure = draw((X, X), ((low, high), (low, high)), [], "ticks")
        ticks = [e for e in ElementTree.fromstring(figure) if e.get("class") == "tick"]
        across = [float(e.get("x")) for e in ticks if e.get("text-anchor") == "middle"]
        assert 3 <= len(across) <= 7
        assert all(64 <= x <= 548 for x in across)
        assert len({e.text for e in ticks}) > 1


def test_sparklines_skip_what_is_no_number():
    assert sparkline([1.0]) == sparkline([math.nan, 1.0]) == ""
    assert sparkline([1.0, math.nan, 2.0]) == sparkline([1.0, 2.0])
    assert sparkline([1.0, 2.0]).count("L") == 1
    assert sparkline([3.0, 3.0]).count("L") == 1


def test_several_runs_share_one_figure():
    figure = volumes_figure([("a <b>", [(0, 0.2), (3, 0.4)]), ("c", [(0, 0.1)]), ("d", [])])
    first, second = paths(figure, "strong")
    assert first.attrib["class"].endswith("group-0")
    assert first.find("title").text == "a <b>"
    assert second.attrib["class"].endswith("group-1")
    assert volumes_figure([("a", [(0, 0.2)])]) is None


def test_the_curve_of_each_trial_is_there_and_rises(view):
    figure = curves_figure(view)
    accented, faint = paths(figure, "accent"), paths(figure, "faint")
    assert len(accented) == len(view.front)
    assert len(accented) + len(faint) == len(view.finished)
    assert accented[0].find("title").text == f"trial {view.front[0].number}"
    assert all(heights(p) == sorted(heights(p), reverse=True) for p in accented)


def test_a_failed_trial_shows_how_far_it_came_and_why(view):
    failed = replace(
        view.trials[6], curve=((25, 33.0), (50, math.nan), (75, 33.5)), reason="NaN <loss>"
    )
    figure = curves_figure(replace(view, trials=(*view.finished, failed)))
    titles = {path.find("title").text: path for path in paths(figure, "faint")}
    assert len(heights(titles["trial 6, NaN <loss>"])) == 2


def test_one_that_diverged_does_not_flatten_the_others(view):
    crash = replace(view.trials[6], curve=((25, 33.0), (50, -900.0)))
    figure = curves_figure(replace(view, trials=(*view.finished, crash)))
    spans = [max(heights(p)) - min(heights(p)) for p in paths(figure, "accent")]
    assert min(spans) > 30
    assert all(TOP <= y <= BOTTOM for p in paths(figure, "faint") for y in heights(p))


def test_thousands_of_curves_are_one_element(view, monkeypatch):
    monkeypatch.setattr(charts, "MAX_TITLED", 3)
    (faint,) = paths(curves_figure(view), "faint")
    assert faint.attrib["d"].count("M") == len(view.finished) - len(view.front)


def test_final_networks_have_their_own_chart(view):
    figure = models_figure(view)
    assert [p.attrib["class"] for p in paths(figure, "strong")] == [
        "line strong trained", "line strong pruned",
    ]  # fmt: skip


def test_the_hypervolume_climbs(view):
    (climb,) = paths(hypervolume_figure(view), "accent")
    assert heights(climb) == sorted(heights(climb), reverse=True)
    assert heights(climb)[0] - heights(climb)[-1] > 200


def test_the_hypervolume_climbs_with_the_minutes_too(view):
    (climb,) = paths(hypervolume_in_time_figure(view), "accent")
    assert heights(climb) == sorted(heights(climb), reverse=True)
    unknown = tuple(replace(t, started=None) for t in view.trials)
    assert hypervolume_in_time_figure(replace(view, trials=unknown)) is None


def test_a_flat_hypervolume_is_shown_against_the_whole_range(view):
    best = replace(view.front[0], cost={"macs": 1, "params": 1})
    others = [replace(t, number=t.number + 100) for t in view.finished if t.scores != best.scores]
    (flat,) = paths(hypervolume_figure(replace(view, trials=(best, *others))), "accent")
    assert len(set(heights(flat))) == 1
    assert TOP + 10 < heights(flat)[0] < TOP + 40  # 100 % of a scale from 0 to 100


def test_nothing_to_draw_is_none(view):
    empty = replace(view, trials=(), models=())
    assert curves_figure(empty) is models_figure(empty) is hypervolume_figure(empty) is None
    assert hypervolume_figure(replace(view, trials=tuple(view.finished[:1]))) is None
