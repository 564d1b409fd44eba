"""Which choices decided the objectives (mean decrease in impurity), and which the front prefers.

optuna's evaluators know only parameters that every trial has. Most choices of a space stand under
a condition (no keys without cross-layer attention), so a choice that a trial did not have becomes
one more category, "not in play", before optuna is asked. What the stages of a network chose on one
axis is added up.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from results.trials import Choice, Trial

LEAST_TRIALS = 12
"""Fewer finished trials say nothing about some twenty axes."""

MOST_TRIALS = 400
"""Of more, evenly chosen ones: a forest over thousands takes longer than the rest of a report."""

ABSENT = "not in play"
_TREES, _DEPTH, _SEED = 24, 12, 0


@dataclass(frozen=True, kw_only=True)
class AxisImportance:
    """One axis of the space and how much of one objective it explains, 0 to 1."""

    axis: str
    share: float


def importances(
    trials: Sequence[Trial], values: Sequence[float], *, most: int = MOST_TRIALS
) -> list[AxisImportance]:
    """Return the axes by their importance for `values`, the largest first; they add up to 1.

    Args:
        trials: finished ones.
        values: one number for each of them; trials without a finite one are left out.
        most: at most so many trials are looked at.

    Returns:
        Nothing if there are fewer than `LEAST_TRIALS`, or if nothing differs between them.
    """
    known = [(t, v) for t, v in zip(trials, values, strict=True) if math.isfinite(v)]
    known = known[:: math.ceil(len(known) / most) or 1]
    # as text with its type: True and 1 are equal in Python but not the same choice
    tables = [
        {name: f"{type(value).__name__} {value}" for name, value in trial.choices.items()}
        for trial, _ in known
    ]
    varied = _varied(tables)
    if len(known) < LEAST_TRIALS or not varied or len({value for _, value in known}) < 2:
        return []
    study = _study(tables, varied, [value for _, value in known])
    from optuna.importance import MeanDecreaseImpurityImportanceEvaluator  # seconds: scikit-learn

    evaluator = MeanDecreaseImpurityImportanceEvaluator(
        n_trees=_TREES, max_depth=_DEPTH, seed=_SEED
    )
    return _by_axis(evaluator.evaluate(study, params=list(varied)))


def _varied(tables: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the choices that were made in more than one way, with all their values."""
    names = sorted({name for table in tables for name in table})
    values = {name: sorted({table.get(name, ABSENT) for table in tables}) for name in names}
    return {name: taken for name, taken in values.items() if len(taken) > 1}


def _study(
    tables: Sequence[Mapping[str, str]], varied: Mapping[str, list[str]], values: Sequence[float]
) -> optuna.Study:
    """Return a study of one objective in memory in which every trial has every parameter."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study()
    finally:
        optuna.logging.set_verbosity(verbosity)
    distributions = {name: CategoricalDistribution(taken) for name, taken in varied.items()}
    study.add_trials(
        create_trial(
            state=TrialState.COMPLETE,
            params={name: table.get(name, ABSENT) for name in distributions},
            distributions=dict(distributions),
            value=value,
        )
        for table, value in zip(tables, values, strict=True)
    )
    return study


def _by_axis(importance: Mapping[str, float]) -> list[AxisImportance]:
    shares: dict[str, float] = defaultdict(float)
    for name, share in importance.items():
        shares[name.rpartition(".")[2]] += float(share)
    ordered = Counter(shares).most_common()
    return [AxisImportance(axis=axis, share=share) for axis, share in ordered]


@dataclass(frozen=True, kw_only=True)
class Preference:
    """The value of one axis that the front holds most often.

    Attributes:
        axis: name of the dimension, the stages taken together.
        value: the value that is most frequent on the front; of equals the one that gained most.
        front_share: its share among the choices of the front, 0 to 1.
        tried_share: its share among those of all finished trials.
    """

    axis: str
    value: Choice
    front_share: float
    tried_share: float


def preferences(front: Sequence[Trial], tried: Sequence[Trial]) -> list[Preference]:
    """Return one line per axis that offered more than one value, in the order of the choices."""
    on_front, overall = _counts(front), _counts(tried)
    lines: list[Preference] = []
    for axis, counts in on_front.items():
        if len(overall[axis]) < 2:
            continue
        shares = {value: (_share(counts, value), _share(overall[axis], value)) for value in counts}
        (value, _), (front_share, tried_share) = max(
            shares.items(), key=lambda item: (item[1][0], item[1][0] - item[1][1])
        )
        lines.append(
            Preference(axis=axis, value=value, front_share=front_share, tried_share=tried_share)
        )
    return lines


# True == 1 in Python; beside the type they stay apart
_Key = tuple[Choice, str]


def _counts(trials: Sequence[Trial]) -> dict[str, Counter[_Key]]:
    counts: dict[str, Counter[_Key]] = {}
    for trial in trials:
        for name, value in trial.choices.items():
            axis = name.rpartition(".")[2]
            counts.setdefault(axis, Counter())[value, type(value).__name__] += 1
    return counts


def _share(counts: Counter[_Key], key: _Key) -> float:
    return counts[key] / counts.total()
