"""Several runs held against each other: one reference point, and what chance explains.

Runs that differ in nothing but their seed are one variant. The hypervolume of every run is taken
with the same reference point and the same box, so that the shares can be compared. Between
variants with several seeds stand a bootstrap interval of the difference and the exact or
approximate p-value of the Mann-Whitney U test (Mann and Whitney, 1947).
"""

# pyright: standard
# Not strict: scipy brings no types.
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

from lightir_core.errors import ResultsError
from results.pareto import MAX_OBJECTIVES, covered_shares
from results.run_view import RunView, read_run

LEAST_SEEDS = 3
"""Runs of each variant that the U test asks for: with two each it can never say anything."""

DRAWS = 5000
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One of the runs that are compared.

    Attributes:
        view: the run.
        name: of its folder, made distinct.
        variant: in what its settings differ from the other runs', but for the seed.
        history: (trial number, share of the common box) after each finished trial.
    """

    view: RunView
    name: str
    variant: str
    history: tuple[tuple[int, float], ...]

    @property
    def volume(self) -> float:
        """Return the share of the common box in the end; 0 without a finished trial."""
        return self.history[-1][1] if self.history else 0.0

    @property
    def seed(self) -> str:
        """Return the seed, as text."""
        return str(self.view.settings.get("seed", "–"))


@dataclass(frozen=True, kw_only=True)
class RunVariant:
    """The runs that differ by their seed only.

    Attributes:
        name: their settings where they differ from the others'.
        volumes: hypervolume of each.
        mean: of those.
        low: lower end of the 95 % bootstrap interval of the mean; NaN for a single run.
        high: upper end.
    """

    name: str
    volumes: tuple[float, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Two variants against each other.

    Attributes:
        first: name of one.
        second: name of the other.
        difference: of their mean hypervolumes, first minus second.
        low: lower end of the 95 % bootstrap interval of the difference; NaN with single runs.
        high: upper end.
        p: two-sided p-value of the U test; NaN with fewer than `LEAST_SEEDS` runs on a side.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float

    @property
    def verdict(self) -> str:
        """Return what may be said."""
        if math.isnan(self.p):
            return f"needs {LEAST_SEEDS} seeds on each side"
        if self.p >= 0.05:
            return "no difference beyond chance"
        return f"{self.first if self.difference > 0 else self.second} is better"


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Runs, variants and contests, and the reference point of the hypervolumes."""

    runs: tuple[ComparedRun, ...]
    variants: tuple[RunVariant, ...]
    contests: tuple[Contest, ...]
    reference: tuple[float, ...]


def compare_runs(folders: Sequence[Path]) -> RunComparison:
    """Read runs and hold them against each other.

    Raises:
        ResultsError: fewer than two runs, one that cannot be read, objectives that differ, or no
            finished trial in any of them.
    """
    if len(folders) < 2:
        raise ResultsError("one run alone cannot be compared; name two run folders or more")
    views = [read_run(folder) for folder in folders]
    _check(views)
    points = [[f.point(trial, f.objectives) for trial in f.finished] for f in views]
    if not any(points):
        raise ResultsError("no trial of these runs has finished; compare them later")
    reference, histories = covered_shares(points)
    variants = _variants(views)
    runs = [
        ComparedRun(
            view=view,
            name=name,
            variant=variant,
            history=tuple(zip((t.number for t in view.finished), history, strict=True)),
        )
        for view, name, variant, history in zip(
            views, _names(folders), variants, histories, strict=True
        )
    ]
    groups = [_variant(name, runs) for name in dict.fromkeys(variants)]
    contests = [_contest(a, b) for a, b in combinations(groups, 2)]
    return RunComparison(
        runs=tuple(runs), variants=tuple(groups), contests=tuple(contests), reference=reference
    )


def _check(views: Sequence[RunView]) -> None:
    first = views[0]
    if len(first.objectives) > MAX_OBJECTIVES:
        raise ResultsError(f"runs with more than {MAX_OBJECTIVES} objectives cannot be compared")
    names = [objective.name for objective in first.objectives]
    for other in views[1:]:
        others = [objective.name for objective in other.objectives]
        if others != names:
            raise ResultsError(
                f"{first.folder} searched for {', '.join(names)}, but {other.folder} for "
                f"{', '.join(others)}; compare runs with the same objectives"
            )
        task, theirs = first.settings.get("task"), other.settings.get("task")
        if task != theirs:
            raise ResultsError(
                f"{first.folder} restores {task}, but {other.folder} {theirs}; their scores mean "
                f"different things"
            )


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the folders' names; where two are equal, with what stands before them."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) == len(names):
        return names
    return [str(folder) for folder in folders]


def _variants(views: Sequence[RunView]) -> list[str]:
    """Return for each run its settings where not all runs agree, but for the seed."""
    plain = [
        {key: json.dumps(value) for key, value in f.settings.items() if key != "seed"}
        for f in views
    ]
    # a setting that one of the runs does not know came with a later version
    keys = sorted(set(plain[0]).intersection(*plain[1:]))
    differing = [key for key in keys if len({settings[key] for settings in plain}) > 1]
    return [
        ", ".join(f"{key}={settings[key].strip(chr(34))}" for key in differing) or "all runs"
        for settings in plain
    ]


def _variant(name: str, runs: Sequence[ComparedRun]) -> RunVariant:
    volumes = [run.volume for run in runs if run.variant == name]
    low, high = _interval(np.asarray(volumes))
    return RunVariant(
        name=name, volumes=tuple(volumes), mean=statistics.mean(volumes), low=low, high=high
    )


def _contest(first: RunVariant, second: RunVariant) -> Contest:
    a, b = np.asarray(first.volumes), np.asarray(second.volumes)
    enough = min(len(a), len(b)) >= LEAST_SEEDS
    low, high = _interval(a, b)
    return Contest(
        first=first.name,
        second=second.name,
        difference=first.mean - second.mean,
        low=low,
        high=high,
        p=float(mannwhitneyu(a, b).pvalue) if enough else math.nan,
    )


def _interval(*samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    """Return 95 % of the bootstrapped mean of one sample, or of the difference of two means.

    NaN where a sample is a single number.
    """
    if any(len(sample) < 2 for sample in samples):
        return math.nan, math.nan
    rng = np.random.default_rng(_SEED)
    means = [rng.choice(s, (DRAWS, len(s))).mean(axis=1) for s in samples]
    drawn = means[0] if len(means) == 1 else means[0] - means[1]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def rows(comparison: RunComparison) -> Iterator[dict[str, str | int | float]]:
    """Return one plain row for each run, for tables of programs."""
    for run in comparison.runs:
        view = run.view
        name = view.metric.name
        scores = [t.scores[name] for t in view.finished if name in t.scores]
        best = max(scores, default=math.nan)
        yield {
            "run": run.name,
            "variant": run.variant,
            "seed": run.seed,
            "finished": len(view.finished),
            "failed": sum(trial.state == "failed" for trial in view.trials),
            "front": len(view.front),
            "hypervolume": run.volume,
            f"best_{name}": best if view.metric.direction == "maximise" else min(scores),
        }
