import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from results.findings import read_findings
from results.objectives import Objective
from results.report import front
from results.report.front import front_figure, pairs


@pytest.fixture(scope="module")
def findings(finished_run):
    return read_findings(finished_run)


def parts(figure):
    """Elements of a chart by their class."""
    found = {}
    for element in ElementTree.fromstring(figure).iter():
        found.setdefault(element.attrib.get("class"), []).append(element)
    return found


def test_every_pair_of_axes_has_a_chart_the_telling_one_first(findings):
    names = [(x.name, y.name) for x, y in pairs(findings)]
    assert names == [("macs", "psnr_y"), ("params", "psnr_y"), ("params", "macs")]


def test_a_run_with_one_axis_has_no_pair(findings):
    bare = tuple(replace(trial, cost={}) for trial in findings.finished)
    assert pairs(replace(findings, objectives=findings.objectives[:1], trials=bare)) == []


def test_every_finished_trial_is_a_mark_with_its_numbers(findings):
    found = parts(front_figure(findings, *pairs(findings)[0]))
    assert len(found["front"]) == len(findings.front)
    assert len(found["front"]) + len(found["trial"]) == len(findings.finished)
    best = findings.front[0]
    title = found["front"][0].find("title").text
    assert title.startswith(f"trial {best.number}: {best.scores['psnr_y']:.2f} dB, ")
    assert len(found["knee"]) == 1


def test_better_networks_stand_higher_and_cheaper_ones_to_the_left(findings):
    found = parts(front_figure(findings, *pairs(findings)[0]))
    marks = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in found["front"]]
    assert marks == sorted(marks, key=lambda mark: (mark[1], -mark[0]))
    assert "↖ better" in {e.text for e in found["note"]}


def test_an_arrow_leads_from_parent_to_pruned(findings):
    found = parts(front_figure(findings, *pairs(findings)[0]))
    shaft = found["line arrow"][0].attrib["d"]
    start, end = (tuple(map(float, p.split())) for p in shaft[1:].split("L"))
    (square,), (triangle,) = found["model trained"], found["model pruned"]
    corner = tuple(map(float, re.match(r"M([\d.]+) ([\d.]+)", square.attrib["d"]).groups()))
    assert abs(start[0] - corner[0] - 5) < 8
    assert end[0] < start[0]  # fewer MACs
    assert triangle.find("title").text.startswith("pruned ")


def test_the_budget_is_a_line_only_on_its_own_axis_and_only_near(findings):
    by_macs, by_params, _ = pairs(findings)

    def limits(budget, axes):
        asked = replace(findings, config={"config": {"budget": budget}})
        return len(parts(front_figure(asked, *axes)).get("line limit", []))

    assert limits("480k", by_params) == 1
    assert limits("480k", by_macs) == 0
    assert limits("macs=90G", by_macs) == 1
    assert limits("40M", by_params) == 0
    assert limits("60%@grformer", by_params) == limits("nonsense", by_params) == 0


def test_thousands_of_trials_are_one_element(findings, monkeypatch):
    monkeypatch.setattr(front, "MAX_TITLED", 3)
    found = parts(front_figure(findings, *pairs(findings)[0]))
    assert "trial" not in found
    behind = len(findings.finished) - len(findings.front)
    assert found["dots trial"][0].attrib["d"].count("M") == behind


def test_the_front_of_a_pair_that_was_not_searched_is_its_own(findings):
    axes = pairs(findings)[2]  # two costs: one network is the smallest in both
    found = parts(front_figure(findings, *axes))
    assert len(found["front"]) == len(findings.front_of(axes))
    assert "↙ better" in {e.text for e in found["note"]}


def test_objectives_to_be_maximised_lie_to_the_right(findings):
    ssim = Objective(name="ssim_y", direction="maximise", label="SSIM")
    both = replace(findings, objectives=(findings.objectives[0], ssim))
    found = parts(front_figure(both, *pairs(both)[0]))
    assert "↗ better" in {e.text for e in found["note"]}
