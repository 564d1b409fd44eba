"""Charts as inline SVG: scales, axes and marks. Colours and fonts come from the page's style.

All text is escaped here; what these functions return is safe to put into a page as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from results.formats import format_value
from results.objectives import Objective

WIDTH, HEIGHT = 560, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 548, 34, 314

Pixel = tuple[float, float]

_LOGARITHMIC_FROM = 30  # max / min of an axis from which equal steps would hide the small ones
_PADDING = 0.06
_MAX_TICKS = 7


@dataclass(frozen=True)
class Scale:
    """A map from values to pixels, linear or logarithmic."""

    low: float
    high: float
    start_px: float
    end_px: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (self._bent(x) for x in (self.low, self.high, value))
        return self.start_px + (value - low) / (high - low) * (self.end_px - self.start_px)

    @cached_property
    def ticks(self) -> list[float]:
        """At most seven round values inside the scale."""
        if not self.logarithmic:
            locator = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10])
            return self._inside(map(float, locator.tick_values(self.low, self.high)))
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        fine = self._inside(lead * 10.0**decade for decade in decades for lead in (1, 2, 5))
        if len(fine) <= _MAX_TICKS:
            return fine
        whole = self._inside(10.0**decade for decade in decades)
        return whole[:: math.ceil(len(whole) / _MAX_TICKS)]

    def _inside(self, values: Iterable[float]) -> list[float]:
        return [value for value in values if self.low <= value <= self.high]

    def _bent(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def scale(values: Iterable[float], start_px: float, end_px: float, *, log: bool = False) -> Scale:
    """A scale that holds all values with some room; logarithmic if allowed and they ask for it."""
    finite = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if log and low > 0 and high / low >= _LOGARITHMIC_FROM:
        room = (high / low) ** _PADDING
        return Scale(low / room, high * room, start_px, end_px, logarithmic=True)
    room = _PADDING * (high - low) or 0.01 * abs(high) or 1.0
    return Scale(low - room, high + room, start_px, end_px)


def chart(
    axes: tuple[Objective, Objective],
    scales: tuple[Scale, Scale],
    marks: Iterable[Markup],
    name: str,
) -> Markup:
    """An SVG element with axes, grid and `marks`; `name` tells what it shows to those who listen.

    Args:
        axes: what lies along x and y; titles and number formats come from them.
        scales: of x and y.
        marks: what is drawn, back to front.
        name: a sentence.
    """
    x, y = scales
    parts = [
        *(_vertical_tick(x(value), format_value(axes[0], value)) for value in x.ticks),
        *(_horizontal_tick(y(value), format_value(axes[1], value)) for value in y.ticks),
        text((RIGHT, HEIGHT - 8), axes[0].title, "title", "end"),
        text((8, 16), axes[1].title, "title", "start"),
        *marks,
    ]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, name, Markup("\n").join(parts)
    )


def text(at: Pixel, content: str, css: str, anchor: str = "start") -> Markup:
    """A line of text."""
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(
        *at, css, anchor, content
    )


def circle(at: Pixel, radius: float, css: str, title: str) -> Markup:
    """A dot whose title shows when it is pointed at."""
    return Markup(
        '<circle cx="{:.1f}" cy="{:.1f}" r="{}" class="{}"><title>{}</title></circle>'
    ).format(*at, radius, css, title)


def shape(points: Sequence[Pixel], css: str, title: str) -> Markup:
    """A closed polygon whose title shows when it is pointed at."""
    return Markup('<path d="{}Z" class="{}"><title>{}</title></path>').format(
        _path(points), css, title
    )


def line(points: Sequence[Pixel], css: str, title: str = "") -> Markup:
    """An open line through the points."""
    inside = Markup("<title>{}</title>").format(title) if title else ""
    return Markup('<path d="{}" class="line {}">{}</path>').format(_path(points), css, inside)


def dots(points: Iterable[Pixel], css: str) -> Markup:
    """Many dots without titles as one element, a tenth of the size."""
    path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
    return Markup('<path d="{}" class="dots {}"/>').format(path, css)


def lines(paths: Iterable[Sequence[Pixel]], css: str) -> Markup:
    """Many lines without titles as one element."""
    return Markup('<path d="{}" class="line {}"/>').format("".join(map(_path, paths)), css)


def link(target: str, content: Markup) -> Markup:
    """The content as a link to an element of the page; can be reached with the keyboard."""
    return Markup('<a href="#{}">{}</a>').format(target, content)


def sparkline(values: Sequence[float]) -> Markup:
    """A learning curve the size of a word; empty when there are fewer than two points."""
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2:
        return Markup("")
    x, y = scale(range(len(finite)), 1, 71), scale(finite, 17, 1)
    path = _path([(x(i), y(v)) for i, v in enumerate(finite)])
    mark = Markup('<path d="{}" class="line"/>').format(path)
    return Markup('<svg viewBox="0 0 72 18" class="spark" aria-hidden="true">{}</svg>').format(mark)


def _path(points: Sequence[Pixel]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _vertical_tick(x: float, label: str) -> Markup:
    return line([(x, TOP), (x, BOTTOM)], "grid") + text((x, BOTTOM + 18), label, "tick", "middle")


def _horizontal_tick(y: float, label: str) -> Markup:
    return line([(LEFT, y), (RIGHT, y)], "grid") + text((LEFT - 8, y + 4), label, "tick", "end")
