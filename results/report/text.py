"""What the report says in numbers and sentences, ready for the template."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from results.describe import describe_stages
from results.models import ImageScore, ModelResult
from results.objectives import (
    COSTS,
    MISSING,
    Objective,
    format_duration,
    format_gain,
    format_share,
    format_value,
    format_with_unit,
    values_of,
)
from results.run_view import RunView, mapping, trial_front

SCORED = {
    "train": "after the short training of the search",
    "bank": "with weights inherited from the bank",
    "zero-cost": "by a proxy, untrained",
}
"""Evaluator of the search -> what its scores are of."""

NEARLY = 0.9
"""Of a limit: a network that uses so much of it needs no reason."""


@dataclass(frozen=True, kw_only=True)
class KeyNumber:
    """One large number with what it is and what to think of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The answer: the best network, its numbers and what it is made of."""

    title: str
    figures: tuple[KeyNumber, ...]
    width: int
    stages: tuple[str, ...]
    model: ModelResult | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One number before and after pruning."""

    label: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, kw_only=True)
class Move:
    """A chosen network before or after it was brought within budget; a cell for each axis."""

    trial: int
    state: str
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One reason and the trials that ended with it."""

    reason: str
    trials: tuple[int, ...]


def headline(view: RunView) -> Headline | None:
    """Return the best network within budget, or the best trial so far, or None."""
    model = view.best
    if model is not None:
        title = {"trained": "trained to the end", "pruned": "pruned and fine-tuned"}[model.kind]
        return Headline(
            title=f"Best network: trial {model.trial}, {title}",
            figures=(
                _score_figure(view, model.scores, model.baseline),
                *_cost_figures(view, model.cost, model.within_budget),
            ),
            width=model.architecture.width,
            stages=tuple(describe_stages(model.architecture)),
            model=model,
        )
    if not view.front:
        return None
    trial = view.front[0]
    evaluator = str(view.settings.get("evaluator", "train")).partition(":")[0]
    how = SCORED.get(evaluator, f"scored by {evaluator}")
    return Headline(
        title=f"Best so far: trial {trial.number}, {how}",
        figures=(
            _score_figure(view, {**trial.cost, **trial.scores}, {}),
            *_cost_figures(view, trial.cost, _within(view, trial.cost)),
        ),
        width=trial.architecture.width,
        stages=tuple(describe_stages(trial.architecture)),
        model=None,
    )


def status(view: RunView) -> str:
    """Return how far the run is, in one sentence."""
    counts = {
        state: sum(trial.state == state for trial in view.trials)
        for state in ("finished", "stopped", "failed", "running")
    }
    asked = view.settings.get("trials")
    total: int | str = len(view.trials)
    if isinstance(asked, int) and len(view.trials) < asked:
        total = f"{total} of {asked}"
    states = [f"{n} {state}" for state, n in counts.items() if n or state == "finished"]
    text = f"{total} {'trial' if total == 1 else 'trials'}: {', '.join(states)}"
    if counts["running"]:
        text += "; the run is still going on, or was stopped and can be resumed"
    return text


def pruning(view: RunView, model: ModelResult) -> list[Change]:
    """Return costs and scores of a pruned network beside those of its parent; empty for others."""
    parent = next((m for m in view.models if m.id == model.parent), None)
    if parent is None:
        return []
    changes: list[Change] = []
    befores = values_of(view.axes, parent.scores, parent.cost)
    afters = values_of(view.axes, model.scores, model.cost)
    for axis, before, after in zip(view.axes, befores, afters, strict=True):
        is_cost = axis.name in model.cost
        changes.append(
            Change(
                label=axis.label,
                before=_full(axis, before),
                after=_full(axis, after),
                change=_percent(before, after) if is_cost else format_gain(after - before),
            )
        )
    return changes


def front_moves(view: RunView) -> list[Move]:
    """Return the chosen networks before and after pruning, if any of them was over budget."""
    if all(model.kind != "parent" for model in view.models):
        return []
    states = {
        "parent": "before, over budget",
        "pruned": "after, within budget",
        "trained": "within budget as it was",
    }
    values = [values_of(view.axes, model.scores, model.cost) for model in view.models]
    return [
        Move(trial=m.trial, state=states[m.kind], cells=tuple(map(_full, view.axes, mine)))
        for m, mine in zip(view.models, values, strict=True)
    ]


def failures(view: RunView) -> list[Failure]:
    """Return reasons of failure with their trials, the most frequent first."""
    reasons: dict[str, list[int]] = defaultdict(list)
    for trial in view.trials:
        if trial.state == "failed":
            reasons[trial.reason or "no reason was recorded"].append(trial.number)
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    return [Failure(reason=reason, trials=tuple(numbers)) for reason, numbers in ordered]


def losses(view: RunView) -> list[str]:
    """Return trials whose worker was lost, with where it was and what became of them."""
    return [
        f"trial {trial.number}: {'; '.join(trial.losses)}" for trial in view.trials if trial.losses
    ]


def restarts(view: RunView) -> list[Failure]:
    """Return how trainings diverged and were begun again, with their trials."""
    trials: dict[str, list[int]] = defaultdict(list)
    for trial in view.trials:
        if trial.restart is not None:
            trials[trial.restart.text].append(trial.number)
    return [Failure(reason=how, trials=tuple(numbers)) for how, numbers in trials.items()]


def describe_knee(view: RunView) -> str:
    """Return why the knee is worth a look; empty when the front has none."""
    knee, front = view.knee, view.front
    if knee is None or len(view.objectives) != 2:
        return "" if knee is None else f"Trial {knee.number} is the knee of the front."
    if knee is front[0]:
        return f"Trial {knee.number} is the knee of the front."
    first, second = view.objectives
    mine, best = (values_of(view.objectives, t.scores, t.cost) for t in (knee, front[0]))
    return (
        f"Trial {knee.number} is the knee: {format_with_unit(first, mine[0])} for "
        f"{format_with_unit(second, mine[1])}. Going on to trial {front[0].number} brings "
        f"{first.label} to {format_with_unit(first, best[0])} and takes "
        f"{format_with_unit(second, best[1])}."
    )


def describe_use(view: RunView) -> str:
    """Return how little of its first limit the best network uses, and what speaks for that.

    Empty where it uses nearly all, and where there is no limit or no network.
    """
    best = view.best or next(iter(view.front), None)
    name, limit = next(iter(view.limits.items()), ("", 0.0))
    if best is None or best.cost.get(name, limit) >= NEARLY * limit:
        return ""
    what = next(axis.label.lower() for axis in COSTS.values() if axis.name == name)
    text = f"It uses {format_share(best.cost[name], limit)} of the {what} allowed"
    larger = [trial for trial in view.finished if trial.cost.get(name, 0) > limit / 2]
    smaller = [trial for trial in view.finished if trial not in larger]
    if not larger:
        return f"{text}: no candidate with more than half was trained, which takes more time."
    tops = [top for side in (smaller, larger) for top in trial_front(side, [view.metric])[:1]]
    scores = [format_with_unit(view.metric, top.scores[view.metric.name]) for top in tops]
    if len(scores) == 1:
        return f"{text}."
    return (
        f"{text}. In the search the best candidate with more than half of them scored {scores[1]}, "
        f"the best with less {scores[0]}; longer trainings favour larger networks."
    )


def uncertainty(view: RunView) -> str:
    """Return what is known of the spread of the scores; empty when nothing has finished."""
    if not view.finished:
        return ""
    seed = view.settings.get("seed")
    text = "Every number here is of one seed" + ("" if seed is None else f" ({seed})")
    images = view.best.images if view.best else ()
    gains = _gains(view, images)
    if len(gains) >= 3:
        spread = statistics.stdev(gains)
        text += (
            f"; over the {len(gains)} validation images the gain of the best network is "
            f"{format_gain(statistics.mean(gains))} ± {spread:.2f} {view.quality.unit} "
            f"(standard deviation)"
        )
    return text + ". The command compare tells the spread over runs with several seeds."


def _gains(view: RunView, images: Sequence[ImageScore]) -> list[float]:
    name = view.quality.name
    return [
        image.scores[name] - image.baseline[name]
        for image in images
        if math.isfinite(image.scores.get(name, math.nan) - image.baseline.get(name, math.nan))
    ]


def time_facts(view: RunView) -> list[tuple[str, str]]:
    """Return when the run was made and how long it took."""
    starts = [trial.started for trial in view.trials if trial.started]
    ends = [trial.finished for trial in view.trials if trial.finished]
    facts = [("Started", _moment(str(view.config.get("created", MISSING))))]
    if starts and ends:
        facts.append(("Search", format_duration((max(ends) - min(starts)).total_seconds())))
    seconds = [trial.seconds for trial in view.trials if trial.seconds is not None]
    if seconds:
        facts.append(("Training of all trials", format_duration(sum(seconds))))
    if view.models:
        total = sum(model.seconds for model in view.models)
        facts.append(("Training of the final networks", format_duration(total)))
    return facts


def plain_lines(value: object) -> list[str]:
    """Return any JSON value as lines of text: lists one a line, dicts as ``key: value``."""
    if isinstance(value, dict):
        items = cast("Mapping[str, Any]", value).items()
        return [f"{key}: {', '.join(plain_lines(item))}" for key, item in items]
    if isinstance(value, list | tuple):
        return [", ".join(plain_lines(item)) for item in cast("Sequence[Any]", value)]
    if isinstance(value, int) and value >= 10**15:
        return [f"{value:.3g}"]  # the size of a space has forty digits
    return [MISSING if value is None else str(value)]


def _score_figure(
    view: RunView, scores: Mapping[str, float], baseline: Mapping[str, Any]
) -> KeyNumber:
    axis = view.quality if view.quality.name in scores else view.metric
    score, plain = scores.get(axis.name, math.nan), baseline.get(axis.name)
    note = ""
    if isinstance(plain, int | float) and not math.isnan(score):
        name = mapping(view.config.get("baseline")).get("name", "the baseline")
        gain = format_gain(score - plain)
        note = f"{gain} {axis.unit} to {name} ({format_with_unit(axis, float(plain))})"
    return KeyNumber(label=axis.label, value=format_with_unit(axis, score), note=note)


def _within(view: RunView, cost: Mapping[str, float]) -> bool | None:
    """Return whether a trial keeps the budget; None where that cannot be told."""
    limits = view.limits
    if not limits or any(name not in cost for name in limits):
        return None
    return all(cost[name] <= limit for name, limit in limits.items())


def _cost_figures(view: RunView, cost: Mapping[str, float], within: bool | None) -> list[KeyNumber]:
    figures: list[KeyNumber] = []
    size = view.config.get("size")
    for axis in view.axes:
        if axis.name not in cost or axis.name == view.metric.name:
            continue
        note = f"for an output of {size}" if size and axis.name == "macs" else ""
        figures.append(KeyNumber(label=axis.label, value=_full(axis, cost[axis.name]), note=note))
    if within is not None:
        budget = str(view.settings.get("budget", "not recorded"))
        figures.append(
            KeyNumber(
                label="Within budget", value="yes" if within else "no", note=f"budget {budget}"
            )
        )
    return figures


def _full(axis: Objective, value: float) -> str:
    """Return parameters to the last one, everything else rounded."""
    if axis.name == "params" and math.isfinite(value):
        return f"{int(value):,}"
    return format_value(axis, value) if axis.name == "macs" else format_with_unit(axis, value)


def _percent(before: float, after: float) -> str:
    if not before or math.isnan(before + after):
        return MISSING
    return format_share(after - before, before).replace("-", "−")


def _moment(text: str) -> str:
    """Return an ISO time to the minute, as it stands if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()
