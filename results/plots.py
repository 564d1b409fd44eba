"""The front as a picture for print: pareto.png and pareto.svg, readable without colour.

Colours are the Okabe-Ito palette (Okabe and Ito, Color Universal Design, 2008) and viridis; kinds
of networks also differ by shape.
"""

# pyright: standard
# Not strict: matplotlib's own signatures are typed in part only.
import io
import math
from collections.abc import Sequence
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from results.models import ModelResult
from results.objectives import Objective, format_value, format_with_unit, values_of
from results.run_view import RunView

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "svg.hashsalt": "lightir",  # equal runs give equal files
    "svg.fonttype": "none",
}
_ACCENT, _PRUNED, _FAINT = "#0072B2", "#D55E00", "0.72"


def draw_front(view: RunView, kind: Literal["png", "svg"]) -> bytes:
    """Return the front over the run's first score and cost, as the bytes of a PNG or SVG file.

    Trials behind the front are faint, the front is joined and coloured by its third axis if there
    is one; networks trained to the end are squares, pruned ones triangles, joined by arrows.
    """
    x, y = view.main_axes
    figure = Figure(figsize=(5.2, 3.6), dpi=300, layout="constrained")
    with rc_context(_STYLE):
        axes = figure.add_subplot()
        _trials(view, axes, x, y)
        _models(view.models, axes, x, y)
        _label(view, axes, x, y)
        out = io.BytesIO()
        if kind == "png":
            FigureCanvasAgg(figure).print_png(out, metadata={"Software": "LightIR"})
        else:
            FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": "LightIR"})
    return out.getvalue()


def _trials(view: RunView, axes: Axes, x: Objective, y: Objective) -> None:
    front = view.front_of((y, x))
    numbers = {trial.number for trial in front}
    behind = [t for t in view.finished if t.number not in numbers]
    pairs = [values_of((x, y), t.scores, t.cost) for t in behind]
    if pairs:
        axes.scatter(*zip(*pairs, strict=True), s=10, color=_FAINT, linewidths=0, label="trials")
    if not front:
        return
    pairs = sorted(values_of((x, y), t.scores, t.cost) for t in front)
    axes.plot(*zip(*pairs, strict=True), color=_ACCENT, linewidth=1, zorder=2)
    third = next((a for a in view.axes if a.name not in (x.name, y.name)), None)
    values = [values_of((x, y, third or y), t.scores, t.cost) for t in front]
    xs, ys, shades = zip(*values, strict=True)
    if third is None:
        axes.scatter(xs, ys, s=28, color=_ACCENT, zorder=3, label="front")
        return
    dots = axes.scatter(
        xs, ys, s=28, c=shades, cmap="viridis", edgecolors=_ACCENT, linewidths=0.6, zorder=3,
        label="front",
    )  # fmt: skip
    bar = axes.figure.colorbar(dots, ax=axes, pad=0.02, aspect=30, format=_formatter(third))
    bar.set_label(third.title)
    bar.outline.set_visible(False)


def _models(models: Sequence[ModelResult], axes: Axes, x: Objective, y: Objective) -> None:
    positions = {m.id: _position(x, y, m) for m in models}
    for kind, marker, color in (
        ("trained", "s", _ACCENT),
        ("parent", "D", _ACCENT),
        ("pruned", "v", _PRUNED),
    ):
        points = [positions[model.id] for model in models if model.kind == kind]
        if points:
            axes.scatter(
                *zip(*points, strict=True), s=36, marker=marker, color="white", edgecolors=color,
                linewidths=1.2, zorder=4, label=kind,
            )  # fmt: skip
    for model in models:
        start = positions.get(model.parent or "")
        if start is not None and all(map(math.isfinite, (*start, *positions[model.id]))):
            axes.annotate(
                "", positions[model.id], start, zorder=3,
                arrowprops={"arrowstyle": "->", "color": _PRUNED, "shrinkA": 4, "shrinkB": 4},
            )  # fmt: skip


def _position(x: Objective, y: Objective, model: ModelResult) -> tuple[float, float]:
    across, up = values_of((x, y), model.comparable, model.cost)
    return across, up


def _label(view: RunView, axes: Axes, x: Objective, y: Objective) -> None:
    axes.set_xlabel(x.title)
    axes.set_ylabel(y.title)
    axes.xaxis.set_major_formatter(_formatter(x))
    axes.yaxis.set_major_formatter(_formatter(y))
    axes.set_axisbelow(True)
    caption = describe_plain_method(view)
    if caption:
        axes.set_title(caption, fontsize=7, color="0.35", loc="left")
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="best", fontsize=7)
    else:
        axes.text(0.5, 0.5, "no finished trial", ha="center", transform=axes.transAxes)


def describe_plain_method(view: RunView) -> str:
    """Return the plain method and its score, such as "bicubic: 33.66 dB"; empty if unknown.

    In words, not as a line: it often lies so far below that it would flatten the front.
    """
    score = view.plain_method.get(view.metric.name)
    if not isinstance(score, int | float):
        return ""
    name = str(view.plain_method.get("name", "baseline"))
    return f"{name}: {format_with_unit(view.metric, float(score))}"


def _formatter(axis: Objective) -> FuncFormatter:
    return FuncFormatter(lambda value, _: format_value(axis, value))
