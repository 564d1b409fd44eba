import io
import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image

from results.objectives import Objective
from results.plots import describe_plain_method, draw_front
from results.run_view import read_run


@pytest.fixture(scope="module")
def view(finished_run):
    return read_run(finished_run)


def words_in(svg):
    return {element.text for element in ElementTree.fromstring(svg).iter() if element.text}


def test_png_is_fit_for_print(view):
    image = Image.open(io.BytesIO(draw_front(view, "png")))
    assert image.size == (1560, 1080)
    colours = image.convert("RGB").getcolors(maxcolors=1 << 20)
    assert len(colours) > 100  # not an empty page


def test_svg_is_the_same_for_the_same_run_and_tells_its_axes(view):
    svg = draw_front(view, "svg")
    assert svg == draw_front(view, "svg")
    assert {"MACs", "PSNR-Y (dB)", "Parameters", "trained", "pruned", "bicubic: 33.66 dB"} <= (
        words_in(svg)
    )


def test_the_baseline_does_not_stretch_the_axis(view):
    far = replace(view, config={"baseline": {"name": "bicubic", "psnr_y": 1.0}})
    ticks = {
        float(w) for w in words_in(draw_front(far, "svg")) if w.count(".") == 1 and w[-1].isdigit()
    }
    assert min(ticks) > 30


def test_baseline_in_words(view):
    assert describe_plain_method(view) == "bicubic: 33.66 dB"
    assert describe_plain_method(replace(view, config={})) == ""


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("case", ["empty", "one", "single objective", "nan model", "no costs"])
def test_odd_runs_are_drawn_without_a_warning(view, kind, case):
    broken = replace(view.models[0], scores={"psnr_y": math.nan})
    bare = tuple(replace(trial, cost={}) for trial in view.finished)
    score = (Objective(name="psnr_y", direction="maximise"),)
    odd = {
        "empty": replace(view, trials=(), models=()),
        "one": replace(view, trials=tuple(view.finished[:1]), models=()),
        "single objective": replace(view, objectives=score),
        "nan model": replace(view, models=(broken, view.models[1])),
        "no costs": replace(view, objectives=score, trials=bare),
    }[case]
    assert draw_front(odd, kind)
