import csv
import io
import math
from dataclasses import replace

import pytest

from results.findings import read_findings
from results.objectives import Objective
from results.tables import rows, to_csv, to_latex, to_markdown


@pytest.fixture(scope="module")
def findings(finished_run):
    return read_findings(finished_run)


@pytest.fixture(scope="module")
def hostile(findings):
    """Labels with all that Markdown, HTML and LaTeX give a meaning to."""
    label = "50% |<b>_&#$~^\\{}"
    axes = (replace(findings.objectives[0], label=label), *findings.objectives[1:])
    return replace(findings, objectives=axes)


def test_rows_are_the_front_and_then_the_models(findings):
    kinds = [row.kind for row in rows(findings)]
    assert kinds == ["trial"] * len(findings.front) + ["trained", "pruned"]
    assert rows(findings)[-1].parent == rows(findings)[-2].architecture.id


def test_csv_keeps_full_precision(findings):
    lines = list(csv.DictReader(io.StringIO(to_csv(findings))))
    assert len(lines) == len(findings.front) + 2
    best, trained = findings.front[0], lines[-2]
    assert float(lines[0]["psnr_y"]) == best.scores["psnr_y"]
    assert lines[0]["macs"] == str(best.cost["macs"])
    assert (lines[0]["trial"], lines[0]["baseline_psnr_y"]) == (str(best.number), "")
    assert (trained["kind"], trained["baseline_psnr_y"]) == ("trained", "33.66")


def test_csv_of_unknown_and_infinite_values(findings):
    model = replace(findings.models[0], scores={"psnr_y": math.inf}, cost={"macs": 5})
    line = list(csv.DictReader(io.StringIO(to_csv(replace(findings, models=(model,))))))[-1]
    assert (line["psnr_y"], line["params"], line["macs"]) == ("inf", "", "5")


def test_markdown_has_as_many_cells_in_each_line(findings, hostile):
    for text in (to_markdown(findings), to_markdown(hostile)):
        counts = {line.replace(r"\|", "").count("|") for line in text.splitlines()}
        assert counts == {6}
    assert "<b>" not in to_markdown(hostile)
    assert r"50% \|&lt;b>" in to_markdown(hostile)


def test_latex_escapes_what_has_a_meaning(hostile):
    heads = to_latex(hostile).splitlines()[3]
    assert r"50\% |<b>\_\&\#\$\textasciitilde{}\textasciicircum{}\textbackslash{}\{\}" in heads
    assert heads.endswith(r"Architecture \\")


def test_a_run_without_a_finished_trial_has_heads_only(findings):
    empty = replace(findings, trials=(), models=())
    assert len(to_csv(empty).splitlines()) == 1
    assert len(to_markdown(empty).splitlines()) == 2


def test_a_single_objective_gives_a_front_of_one(findings):
    single = replace(
        findings, objectives=(Objective(name="psnr_y", direction="maximise"),), models=()
    )
    (row,) = rows(single)
    assert row.values[0] == max(t.scores["psnr_y"] for t in findings.finished)
