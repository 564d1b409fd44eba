import io
import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image

from results.findings import read_findings
from results.objectives import Objective
from results.plots import baseline_words, draw_front, plot_axes


@pytest.fixture(scope="module")
def findings(finished_run):
    return read_findings(finished_run)


def words_in(svg):
    return {element.text for element in ElementTree.fromstring(svg).iter() if element.text}


def test_png_is_fit_for_print(findings):
    image = Image.open(io.BytesIO(draw_front(findings, "png")))
    assert image.size == (1560, 1080)
    colours = image.convert("RGB").getcolors(maxcolors=1 << 20)
    assert len(colours) > 100  # not an empty page


def test_svg_is_the_same_for_the_same_run_and_tells_its_axes(findings):
    svg = draw_front(findings, "svg")
    assert svg == draw_front(findings, "svg")
    assert {"MACs", "PSNR-Y (dB)", "Parameters", "trained", "pruned", "bicubic: 33.66 dB"} <= (
        words_in(svg)
    )


def test_the_baseline_does_not_stretch_the_axis(findings):
    far = replace(findings, config={"baseline": {"name": "bicubic", "psnr_y": 1.0}})
    ticks = {
        float(w) for w in words_in(draw_front(far, "svg")) if w.count(".") == 1 and w[-1].isdigit()
    }
    assert min(ticks) > 30


def test_axes_are_the_score_and_the_work(findings):
    assert [axis.name for axis in plot_axes(findings)] == ["macs", "psnr_y"]


def test_baseline_in_words(findings):
    assert baseline_words(findings) == "bicubic: 33.66 dB"
    assert baseline_words(replace(findings, config={})) == ""


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("case", ["empty", "one", "single objective", "nan model", "no costs"])
def test_odd_runs_are_drawn_without_a_warning(findings, kind, case):
    broken = replace(findings.models[0], scores={"psnr_y": math.nan})
    bare = tuple(replace(trial, cost={}) for trial in findings.finished)
    score = (Objective(name="psnr_y", direction="maximise"),)
    odd = {
        "empty": replace(findings, trials=(), models=()),
        "one": replace(findings, trials=tuple(findings.finished[:1]), models=()),
        "single objective": replace(findings, objectives=score),
        "nan model": replace(findings, models=(broken, findings.models[1])),
        "no costs": replace(findings, objectives=score, trials=bare),
    }[case]
    assert draw_front(odd, kind)
