import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from results.findings import read_findings
from results.report import curves
from results.report.curves import curves_figure, hypervolume_figure, models_figure
from results.report.svg import BOTTOM, TOP


@pytest.fixture(scope="module")
def findings(finished_run):
    return read_findings(finished_run)


def paths(figure, css):
    found = ElementTree.fromstring(figure).iter()
    return [e for e in found if e.attrib.get("class", "").startswith(f"line {css}")]


def heights(path):
    return [float(point.split()[1]) for point in path.attrib["d"][1:].split("L")]


def test_the_curve_of_each_trial_is_there_and_rises(findings):
    figure = curves_figure(findings)
    accented, faint = paths(figure, "accent"), paths(figure, "faint")
    assert len(accented) == len(findings.front)
    assert len(accented) + len(faint) == len(findings.finished)
    assert accented[0].find("title").text == f"trial {findings.front[0].number}"
    assert all(heights(p) == sorted(heights(p), reverse=True) for p in accented)


def test_a_failed_trial_shows_how_far_it_came_and_why(findings):
    failed = replace(
        findings.trials[6], curve=((25, 33.0), (50, math.nan), (75, 33.5)), reason="NaN <loss>"
    )
    figure = curves_figure(replace(findings, trials=(*findings.finished, failed)))
    titles = {path.find("title").text: path for path in paths(figure, "faint")}
    assert len(heights(titles["trial 6, NaN <loss>"])) == 2


def test_one_that_diverged_does_not_flatten_the_others(findings):
    crash = replace(findings.trials[6], curve=((25, 33.0), (50, -900.0)))
    figure = curves_figure(replace(findings, trials=(*findings.finished, crash)))
    spans = [max(heights(p)) - min(heights(p)) for p in paths(figure, "accent")]
    assert min(spans) > 30
    assert all(TOP <= y <= BOTTOM for p in paths(figure, "faint") for y in heights(p))


def test_thousands_of_curves_are_one_element(findings, monkeypatch):
    monkeypatch.setattr(curves, "MAX_TITLED", 3)
    (faint,) = paths(curves_figure(findings), "faint")
    assert faint.attrib["d"].count("M") == len(findings.finished) - len(findings.front)


def test_final_networks_have_their_own_chart(findings):
    figure = models_figure(findings)
    assert [p.attrib["class"] for p in paths(figure, "strong")] == [
        "line strong trained", "line strong pruned",
    ]  # fmt: skip


def test_the_hypervolume_climbs(findings):
    (climb,) = paths(hypervolume_figure(findings), "accent")
    assert heights(climb) == sorted(heights(climb), reverse=True)
    assert heights(climb)[0] - heights(climb)[-1] > 200


def test_a_flat_hypervolume_is_shown_against_the_whole_range(findings):
    best = replace(findings.front[0], cost={"macs": 1, "params": 1})
    others = [
        replace(t, number=t.number + 100) for t in findings.finished if t.scores != best.scores
    ]
    (flat,) = paths(hypervolume_figure(replace(findings, trials=(best, *others))), "accent")
    assert len(set(heights(flat))) == 1
    assert TOP + 10 < heights(flat)[0] < TOP + 40  # 100 % of a scale from 0 to 100


def test_nothing_to_draw_is_none(findings):
    empty = replace(findings, trials=(), models=())
    assert curves_figure(empty) is models_figure(empty) is hypervolume_figure(empty) is None
    assert hypervolume_figure(replace(findings, trials=tuple(findings.finished[:1]))) is None
