"""What may be chosen: search spaces as plain data, no tensor."""

from collections.abc import Sequence
from pathlib import Path

from lightir_core.errors import SpaceError, nearest
from spaces.decode import TaskShape, Value
from spaces.default import DEFAULT, FULL, SMALL
from spaces.papers import ACLA, AGILEIR, COMPACTER, DRT, GRFORMER
from spaces.space import Choices, Dimension, Space, When
from spaces.user import parse_only, read_space, space_from_plain, space_to_plain

__all__ = [
    "SPACES",
    "Choices",
    "Dimension",
    "Space",
    "TaskShape",
    "Value",
    "When",
    "find_space",
    "parse_only",
    "read_space",
    "space_from_plain",
    "space_to_plain",
]

SPACES: dict[str, Space] = {
    space.name: space for space in (DEFAULT, FULL, SMALL, ACLA, AGILEIR, GRFORMER, DRT, COMPACTER)
}


def find_space(name: str, only: Sequence[str] = ()) -> Space:
    """Return the space called `name`, or in the file of that name, cut down to what `only` says.

    Raises:
        SpaceError: neither a known name nor a file of a space, or one that `only` does not fit.
    """
    if Path(name).is_file():
        space = read_space(Path(name))
    elif name in SPACES:
        space = SPACES[name]
    else:
        raise SpaceError(
            f"space {name!r} is not known{nearest(name, SPACES)}; use one of {', '.join(SPACES)}"
        )
    return space.restrict(parse_only(only, space))
