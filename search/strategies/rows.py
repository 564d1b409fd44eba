"""Points of a space as rows that answer every question: for optimisers without conditions."""

from __future__ import annotations

from collections.abc import Mapping

from spaces import Choices, Space, Value

INACTIVE = "-"
"""The answer to a question that is not asked at a point: a value like any other to a model."""

Row = dict[str, Value]


def answers(space: Space) -> dict[str, tuple[Value, ...]]:
    """Every open question with its answers, `INACTIVE` among them where it may not be asked."""
    always = {d.name for d in space.network if not d.when}
    return {
        name: values if name in always else (*values, INACTIVE)
        for name, values in space.distributions().items()
        if len(values) > 1 or name not in always
    }


def to_row(known: Mapping[str, tuple[Value, ...]], choices: Mapping[str, Value]) -> Row:
    """The answers of a point to all questions of `known`."""
    return {name: choices.get(name, INACTIVE) for name in known}


def to_wish(row: Mapping[str, Value]) -> Choices:
    """What a row asks for; answers to questions that are not asked there do no harm."""
    return {name: value for name, value in row.items() if value != INACTIVE}
