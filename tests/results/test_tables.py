import csv
import io
import math
from dataclasses import replace

import pytest

from results.objectives import Objective
from results.run_view import read_run
from results.tables import rows, to_csv, to_latex, to_markdown


@pytest.fixture(scope="module")
def view(finished_run):
    return read_run(finished_run)


@pytest.fixture(scope="module")
def hostile(view):
    """Labels with all that Markdown, HTML and LaTeX give a meaning to."""
    label = "50% |<b>_&#$~^\\{}"
    axes = (replace(view.objectives[0], label=label), *view.objectives[1:])
    return replace(view, objectives=axes)


def test_rows_are_the_front_and_then_the_models(view):
    kinds = [row.kind for row in rows(view)]
    assert kinds == ["trial"] * len(view.front) + ["trained", "pruned"]
    assert rows(view)[-1].parent == rows(view)[-2].architecture.id


def test_csv_keeps_full_precision(view):
    lines = list(csv.DictReader(io.StringIO(to_csv(view))))
    assert len(lines) == len(view.front) + 2
    best, trained = view.front[0], lines[-2]
    assert float(lines[0]["psnr_y"]) == best.scores["psnr_y"]
    assert lines[0]["macs"] == str(best.cost["macs"])
    assert (lines[0]["trial"], lines[0]["baseline_psnr_y"]) == (str(best.number), "")
    assert (trained["kind"], trained["baseline_psnr_y"]) == ("trained", "33.66")


def test_csv_of_unknown_and_infinite_values(view):
    model = replace(view.models[0], scores={"psnr_y": math.inf}, cost={"macs": 5})
    line = list(csv.DictReader(io.StringIO(to_csv(replace(view, models=(model,))))))[-1]
    assert (line["psnr_y"], line["params"], line["macs"]) == ("inf", "", "5")


def test_markdown_has_as_many_cells_in_each_line(view, hostile):
    for text in (to_markdown(view), to_markdown(hostile)):
        counts = {line.replace(r"\|", "").count("|") for line in text.splitlines()}
        assert counts == {6}
    assert "<b>" not in to_markdown(hostile)
    assert r"50% \|&lt;b>" in to_markdown(hostile)


def test_latex_escapes_what_has_a_meaning(hostile):
    heads = to_latex(hostile).splitlines()[3]
    assert r"50\% |<b>\_\&\#\$\textasciitilde{}\textasciicircum{}\textbackslash{}\{\}" in heads
    assert heads.endswith(r"Architecture \\")


def test_a_run_without_a_finished_trial_has_heads_only(view):
    empty = replace(view, trials=(), models=())
    assert len(to_csv(empty).splitlines()) == 1
    assert len(to_markdown(empty).splitlines()) == 2


def test_a_single_objective_gives_a_front_of_one(view):
    single = replace(view, objectives=(Objective(name="psnr_y", direction="maximise"),), models=())
    (row,) = rows(single)
    assert row.values[0] == max(t.scores["psnr_y"] for t in view.finished)
