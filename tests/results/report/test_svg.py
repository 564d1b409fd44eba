import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from results.objectives import Objective
from results.report.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Scale,
    chart,
    circle,
    dots,
    line,
    lines,
    link,
    scale,
    shape,
    sparkline,
    text,
)

X = Objective(name="macs", direction="minimise", label="MACs")
Y = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR <Y>")
numbers = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(st.lists(numbers, min_size=1, max_size=20), st.booleans())
def test_a_scale_holds_its_values_with_room_and_keeps_their_order(values, log):
    place = scale(values, LEFT, RIGHT, log=log)
    pixels = [place(value) for value in sorted(values)]
    assert pixels == sorted(pixels)
    assert LEFT < pixels[0] <= pixels[-1] < RIGHT


@given(st.lists(numbers, min_size=1, max_size=5), st.booleans())
def test_ticks_are_few_and_inside(values, log):
    place = scale(values, BOTTOM, TOP, log=log)
    assert all(TOP <= place(tick) <= BOTTOM for tick in place.ticks)
    assert len(place.ticks) <= 7


def test_golden_scale():
    place = Scale(10, 30, 100, 500)
    assert [place(value) for value in (10, 20, 30)] == [100, 300, 500]
    assert place.ticks == [10, 15, 20, 25, 30]


def test_a_wide_range_is_logarithmic_where_allowed():
    wide = [1e6, 1e8]
    assert not scale(wide, 0, 1).logarithmic
    place = scale(wide, 0, 1, log=True)
    assert place(1e7) == pytest.approx(0.5)
    assert place.ticks == [1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8]
    assert scale([1, 1e5], 0, 1, log=True).ticks == [1, 10, 100, 1e3, 1e4, 1e5]
    assert not scale([1e6, 2e6], 0, 1, log=True).logarithmic
    assert not scale([0, 1e6], 0, 1, log=True).logarithmic


def test_values_that_are_no_numbers_do_not_stretch_a_scale():
    assert scale([1.0, math.nan, 2.0, math.inf], 0, 1) == scale([1.0, 2.0], 0, 1)
    assert scale([], 0, 1)(0.5) == pytest.approx(0.5)


def test_a_chart_is_well_formed_and_titled():
    scales = (scale([1e9, 3e9], LEFT, RIGHT), scale([30, 34], BOTTOM, TOP))
    marks = [
        circle((100, 100), 3, "trial", 'a "b" <c>'),
        shape([(0, 0), (1, 0), (0, 1)], "model", "&"),
        link("trial-1", line([(0, 0), (1, 1)], "accent", "<")),
        lines([[(0, 0), (1, 1)], [(2, 2), (3, 3)]], "faint"),
        dots([(0, 0), (5, 5)], "trial"),
    ]
    root = ElementTree.fromstring(chart((X, Y), scales, marks, "what <it> shows"))
    assert root.attrib["aria-label"] == "what <it> shows"
    words = [element.text for element in root.iter() if element.tag in ("text", "title")]
    assert {"MACs", "PSNR <Y> (dB)", "2G", 'a "b" <c>', "&", "<"} <= set(words)


def test_marks_escape_their_text():
    assert "<b>" not in text((0, 0), "<b>", "note")
    assert isinstance(text((0, 0), "<b>", "note"), Markup)


def test_many_dots_are_one_element():
    assert (
        dots([(1, 2), (3.25, 4)], "trial") == '<path d="M1.0 2.0h0M3.2 4.0h0" class="dots trial"/>'
    )


def test_sparklines_skip_what_is_no_number():
    assert sparkline([1.0]) == sparkline([math.nan, 1.0]) == ""
    assert sparkline([1.0, math.nan, 2.0]) == sparkline([1.0, 2.0])
    assert sparkline([1.0, 2.0]).count("L") == 1
