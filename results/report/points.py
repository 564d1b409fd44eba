"""The interactive chart's data: axes, points and limits, as JSON that the page's script reads."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from markupsafe import Markup

from results.describe import summarise
from results.objectives import Objective, values_of
from results.run_view import RunView

MAX_PAIRS = 6
"""Pairs of axes with a button of their own; two lists offer all others."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One mark.

    Attributes:
        kind: trial, stopped, trained, parent, pruned, shrunk or published.
        name: what it is called, such as "trial 12".
        values: one for each axis, NaN where unknown.
        description: what it is made of.
        href: where a click leads in the page.
        group: which run it belongs to, counted from 0.
        tags: said behind its name, such as "knee".
        parent: name of the point that an arrow comes from.
        short: what is written beside the mark.
    """

    kind: str
    name: str
    values: tuple[float, ...]
    description: str = ""
    href: str = ""
    group: int = 0
    tags: tuple[str, ...] = ()
    parent: str = ""
    short: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Everything that one interactive chart shows.

    Attributes:
        axes: what can be chosen for either side.
        points: all marks.
        limits: of the budget, by axis name.
        groups: names of the runs.
        x: index of the axis that lies across at first.
        y: index of the one that goes up.
    """

    axes: tuple[Objective, ...]
    points: tuple[Point, ...]
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    groups: tuple[str, ...] = ("",)
    x: int = 0
    y: int = 0

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Return (x, y) of the pairs with a button, the one shown first in front."""
        order = list(dict.fromkeys((self.y, self.x, *range(len(self.axes)))))
        return [(x, y) for y, x in combinations(order, 2)][:MAX_PAIRS]

    @property
    def kinds(self) -> list[str]:
        """Return the kinds of marks that there are, in drawing order."""
        present = {point.kind for point in self.points}
        order = ("trial", "stopped", "trained", "parent", "pruned", "shrunk", "published")
        return [kind for kind in order if kind in present]

    def to_json(self) -> Markup:
        """Return the chart for a script element of type application/json: no text can end it."""
        plain: dict[str, Any] = {
            "axes": [
                {
                    "name": axis.name,
                    "label": axis.label,
                    "title": axis.title,
                    "up": axis.direction == "maximise",
                    "kind": _number_kind(axis),
                    "limit": self.limits.get(axis.name),
                }
                for axis in self.axes
            ],
            "points": [_plain_point(point) for point in self.points],
            "groups": list(self.groups),
            "x": self.x,
            "y": self.y,
        }
        text = json.dumps(plain, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        for character in "<>&\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return Markup(text)


def chart_of(view: RunView) -> Chart:
    """Return the chart of one run."""
    axes = view.axes
    x, y = map(axes.index, view.main_axes)
    return Chart(
        axes=axes,
        points=(*trial_points(view), *_stopped(view), *_models(view), *_systems(view)),
        limits=view.limits,
        groups=(view.folder.resolve().name,),
        x=x,
        y=y,
    )


def trial_points(
    view: RunView, group: int = 0, axes: Sequence[Objective] | None = None
) -> Iterator[Point]:
    """Return a point for each finished trial; those on the front lead to their row.

    Args:
        view: the run.
        group: its number among several; those lead nowhere.
        axes: other ones than the run's own.
    """
    listed = {trial.number for trial in view.front} if axes is None else set[int]()
    knee = view.knee.number if view.knee else None
    for trial in view.finished:
        yield Point(
            kind="trial",
            name=f"trial {trial.number}",
            values=values_of(axes or view.axes, trial.scores, trial.cost),
            description=summarise(trial.architecture),
            href=f"#trial-{trial.number}" if trial.number in listed else "",
            group=group,
            tags=("knee",) if trial.number == knee else (),
        )


def _stopped(view: RunView) -> Iterator[Point]:
    """Return a point for each trial that was stopped on its way, where it stood then."""
    for trial in view.trials:
        if trial.state == "stopped":
            yield Point(
                kind="stopped",
                name=f"trial {trial.number}",
                values=values_of(view.axes, trial.scores, trial.cost),
                description=summarise(trial.architecture),
                tags=(trial.reason or "stopped",),
            )


def _models(view: RunView) -> Iterator[Point]:
    kinds: dict[str | None, str] = {model.id: model.kind for model in view.models}
    for model in view.models:
        over = ("over budget",) if model.kind == "parent" else ()
        yield Point(
            kind=model.kind,
            name=f"{model.kind} {model.id}",
            values=values_of(view.axes, model.comparable, model.cost),
            description=summarise(model.architecture),
            href=f"#model-{model.id}" if model.kind != "parent" else "",
            tags=(f"from trial {model.trial}", *over),
            parent=f"{kinds[model.parent]} {model.parent}" if model.parent in kinds else "",
        )


def _systems(view: RunView) -> Iterator[Point]:
    for system in view.baselines:
        yield Point(
            kind="published",
            name=f"{system.name}, own size",
            values=values_of(view.axes, {}, system.cost),
            href="#systems",
            tags=("counted, not trained here",),
            short=system.name,
        )
        if system.shrunk:
            yield Point(
                kind="shrunk",
                name=f"{system.name}, shrunk to the budget",
                values=values_of(view.axes, system.scores, system.shrunk_cost),
                href="#systems",
                tags=(f"{system.steps} steps, as the trials",) if system.scores else (),
                short=system.name,
            )


def _plain_point(point: Point) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "k": point.kind,
        "n": point.name,
        # seven digits: far more than a chart shows, and half the bytes
        "v": [float(f"{v:.7g}") if math.isfinite(v) else None for v in point.values],
    }
    optional = {
        "w": point.description,
        "h": point.href,
        "g": point.group,
        "t": ", ".join(point.tags),
        "p": point.parent,
        "s": point.short,
    }
    return plain | {key: value for key, value in optional.items() if value}


def _number_kind(axis: Objective) -> str:
    if axis.name.endswith("_bytes"):
        return "bytes"
    if axis.unit == "dB":
        return "decibel"
    return "count" if axis.name in ("params", "macs") else "plain"
