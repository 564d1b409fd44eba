"""What the front prefers on each axis of the space, against all that was tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from results.trials import Choice, Trial


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
    """One line per axis that offered more than one value, in the order of the choices."""
    on_front, overall = _counts(front), _counts(tried)
    found: list[Preference] = []
    for axis, counts in on_front.items():
        if len(overall[axis]) < 2:
            continue
        shares = {value: (_share(counts, value), _share(overall[axis], value)) for value in counts}
        best = max(
            shares, key=lambda value: (shares[value][0], shares[value][0] - shares[value][1])
        )
        found.append(
            Preference(
                axis=axis,
                value=best[0],
                front_share=shares[best][0],
                tried_share=shares[best][1],
            )
        )
    return found


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
