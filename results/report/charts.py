"""Figures over time, learning curves and the hypervolume: laid out by matplotlib.

The page styles them: colours, fonts, identifiers and clip paths of matplotlib's SVG are left
behind, its marks get classes of the style sheet, so that they follow dark mode, and titles.
"""

# pyright: standard
# Not strict: matplotlib's own signatures are typed in part only.
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from results.objectives import Objective, format_value
from results.run_view import RunView
from results.trials import Trial

MAX_TITLED = 600
"""Curves that get a hover text of their own; more would make the page slow and heavy."""

STEPS = Objective(name="steps", direction="minimise", label="Training steps")
MINUTES = Objective(name="minutes", direction="minimise", unit="min", label="Time")
NUMBER = Objective(name="number", direction="minimise", label="Trial")
VOLUME = Objective(name="volume", direction="maximise", unit="%", label="Hypervolume")

Limits = tuple[tuple[float, float], tuple[float, float]]
"""The ends of the x and of the y axis."""

_WIDTH, _HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 548, 34, 314
_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes:
        points: (x, y) pairs; after a NaN it begins anew.
        css: classes of the style sheet.
        title: shown when it is pointed at.
        stairs: it keeps its height until the next point.
    """

    points: Sequence[tuple[float, float]]
    css: str
    title: str = ""
    stairs: bool = False


def curves_figure(view: RunView) -> Markup | None:
    """Draw the learning curve of each trial, the front's emphasised; None when there is none."""
    front = {trial.number for trial in view.front}
    behind = [trial for trial in view.trials if trial.curve and trial.number not in front]
    best = [trial for trial in view.front if trial.curve]
    limits = _curve_limits([trial.curve for trial in (*behind, *best)])
    if limits is None:
        return None
    curves = _faint(behind, limits)
    curves += [Curve([(s, low) for low in limits[1]], "limit") for s in rungs(view)]
    curves += [Curve(_kept(t.curve, limits), "accent", _curve_title(t)) for t in best]
    return draw((STEPS, view.metric), limits, curves, "Learning curves of the search")


def models_figure(view: RunView) -> Markup | None:
    """Draw the curves of the networks trained to the end; None when there is none."""
    with_curve = [model for model in view.models if model.curve]
    limits = _curve_limits([model.curve for model in with_curve])
    if limits is None:
        return None
    curves = [
        Curve(_kept(m.curve, limits), f"strong {m.kind}", f"{m.kind} {m.id}, trial {m.trial}")
        for m in with_curve
    ]
    axes = (STEPS, view.quality)
    return draw(axes, limits, curves, "Learning curves of the final networks")


def hypervolume_figure(view: RunView) -> Markup | None:
    """Draw the share of the objectives' box that the front covers, after each trial."""
    history = [(float(number), 100 * share) for number, share in view.hypervolume]
    return _stairs(history, NUMBER, "Hypervolume after each trial")


def hypervolume_in_time_figure(view: RunView) -> Markup | None:
    """Draw the same over the minutes since the first trial began; None where no clock was kept."""
    ends = {trial.number: trial.finished for trial in view.finished}
    starts = [trial.started for trial in view.trials if trial.started]
    history = [(ends[number], share) for number, share in view.hypervolume]
    if not starts or any(end is None for end, _ in history):
        return None
    begun, best, steps = min(starts), 0.0, list[tuple[float, float]]()
    # trials end in another order than they begin; the front of then is at least the best so far
    for end, share in sorted(((end, share) for end, share in history if end)):
        best = max(best, share)
        steps.append(((end - begun).total_seconds() / 60, 100 * best))
    return _stairs(steps, MINUTES, "Hypervolume over time")


def volumes_figure(runs: Sequence[tuple[str, Sequence[tuple[int, float]]]]) -> Markup | None:
    """Draw the hypervolume of runs, as (name, history of shares), after each of their trials."""
    if all(len(history) < 2 for _, history in runs):
        return None
    curves = [
        Curve([(n, 100 * share) for n, share in history], f"strong group-{i % 8}", name, True)
        for i, (name, history) in enumerate(runs)
        if history
    ]
    points = [point for curve in curves for point in curve.points]
    limits = _limits(n for n, _ in points), _limits(share for _, share in points)
    return draw((NUMBER, VOLUME), limits, curves, "Hypervolume of each run after each trial")


def rungs(view: RunView) -> list[int]:
    """Return the steps at which a search with several fidelities compared its trials, rising."""
    return sorted({step for trial in view.trials for step, _ in trial.rungs})


def sparkline(values: Sequence[float]) -> Markup:
    """Draw a learning curve the size of a word; empty when there are fewer than two points."""
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2:
        return Markup("")
    low, high = _limits(finite)
    step, rise = 70 / (len(finite) - 1), 16 / (high - low)
    points = [f"{1 + i * step:.1f} {17 - rise * (v - low):.1f}" for i, v in enumerate(finite)]
    mark = Markup('<path d="M{}" class="line"/>').format("L".join(points))
    return Markup('<svg viewBox="0 0 72 18" class="spark" aria-hidden="true">{}</svg>').format(mark)


def draw(
    axes: tuple[Objective, Objective], limits: Limits, curves: Sequence[Curve], name: str
) -> Markup:
    """Draw lines over a grid as an SVG element; all text in it is escaped.

    Args:
        axes: what lies along x and y; titles and number formats come from them.
        limits: of x and y.
        curves: back to front.
        name: what it shows, for those who listen.
    """
    figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72))  # SVG counts in points
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "lightir"}):
        plot = figure.add_axes((
            _LEFT / _WIDTH, 1 - _BOTTOM / _HEIGHT, (_RIGHT - _LEFT) / _WIDTH,
            (_BOTTOM - _TOP) / _HEIGHT,
        ))  # fmt: skip
        plot.set(frame_on=False, xlim=limits[0], ylim=limits[1])
        plot.grid(visible=True)
        plot.tick_params("x", length=0, pad=10)
        plot.tick_params("y", length=0, pad=8)
        for side, objective in zip((plot.xaxis, plot.yaxis), axes, strict=True):
            side.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
            side.set_major_formatter(FuncFormatter(lambda v, _, o=objective: format_value(o, v)))
        figure.text(1 - 12 / _WIDTH, 8 / _HEIGHT, axes[0].title, ha="right")
        figure.text(8 / _WIDTH, 1 - 16 / _HEIGHT, axes[1].title)
        for number, curve in enumerate(curves):
            style = "steps-post" if curve.stairs else "default"
            x, y = zip(*curve.points, strict=True)
            plot.plot(x, y, drawstyle=style, gid=f"curve-{number}")
        out = io.BytesIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    marks = _marks(ElementTree.fromstring(out.getvalue()), curves)
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, name, Markup("\n").join(marks)
    )


def _marks(root: ElementTree.Element, curves: Sequence[Curve]) -> Iterable[Markup]:
    """Return what matplotlib drew with the page's classes: grid and ticks, titles, then curves."""
    groups = {group.get("id", ""): group for group in root.iter(f"{_SVG}g")}
    for name, group in groups.items():
        if name.startswith(("xtick_", "ytick_")):
            yield from (_path(path, "grid") for path in group.findall(f"{_SVG}g/{_SVG}path"))
            yield from (_text(text, "tick") for text in group.iter(f"{_SVG}text"))
    figure = groups["figure_1"]
    yield from (_text(text, "title") for text in figure.findall(f"{_SVG}g/{_SVG}text"))
    for number, curve in enumerate(curves):
        path = groups[f"curve-{number}"].find(f"{_SVG}path")
        if path is not None:
            yield _path(path, curve.css, curve.title)


def _path(path: ElementTree.Element, css: str, title: str = "") -> Markup:
    inside = Markup("<title>{}</title>").format(title) if title else ""
    shape = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", path.get("d", ""))
    shape = re.sub(r"\s*([ML])\s*", r"\1", shape).strip()
    return Markup('<path d="{}" class="line {}">{}</path>').format(shape, css, inside)


def _text(text: ElementTree.Element, css: str) -> Markup:
    anchor = re.search(r"text-anchor: (\w+)", text.get("style", ""))
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>').format(
        float(text.get("x", 0)), float(text.get("y", 0)), css,
        anchor[1] if anchor else "start", text.text or "",
    )  # fmt: skip


def _limits(values: Iterable[float]) -> tuple[float, float]:
    """Return the ends of an axis that holds all values with some room."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = min(finite), max(finite)
    room = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
    return low - room, high + room


def _stairs(history: Sequence[tuple[float, float]], across: Objective, name: str) -> Markup | None:
    """Return a line that rises in steps, as a quantity does that changes with every trial."""
    if len(history) < 2:
        return None
    shares = [share for _, share in history]
    # Flat from the first trial on: the whole range tells that better than a guess around it.
    y_limits = _limits(shares if shares[0] < shares[-1] else (0.0, 100.0))
    curve = Curve(history, "accent strong", stairs=True)
    return draw((across, VOLUME), (_limits(x for x, _ in history), y_limits), [curve], name)


def _faint(trials: Sequence[Trial], limits: Limits) -> list[Curve]:
    """Return the curves of the trials behind the front, all in one mark where they are many."""
    kept = [(trial, points) for trial in trials if (points := _kept(trial.curve, limits))]
    if len(trials) > MAX_TITLED:
        return [Curve([p for _, points in kept for p in (*points, (math.nan, math.nan))], "faint")]
    return [Curve(points, "faint", _curve_title(trial)) for trial, points in kept]


def _curve_limits(curves: Sequence[Sequence[tuple[int, float]]]) -> Limits | None:
    points = [point for curve in curves for point in curve if math.isfinite(point[1])]
    if not points:
        return None
    heights = sorted(height for _, height in points)
    # A network that diverged must not press all others into one line.
    floor = heights[len(heights) // 20] - 2 * (heights[-1] - heights[len(heights) // 20])
    return _limits([0.0, *(float(s) for s, _ in points)]), _limits(h for h in heights if h >= floor)


def _kept(curve: Sequence[tuple[int, float]], limits: Limits) -> list[tuple[float, float]]:
    """Return the finite points of a curve, those below the figure put on its lower edge."""
    return [(float(s), max(v, limits[1][0])) for s, v in curve if math.isfinite(v)]


def _curve_title(trial: Trial) -> str:
    return f"trial {trial.number}" + (f", {trial.reason}" if trial.reason else "")
