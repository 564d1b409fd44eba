"""What may be chosen: search spaces as plain data, no tensor."""

from spaces.decode import TaskShape, Value
from spaces.default import DEFAULT, SMALL
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
    "parse_only",
    "read_space",
    "space_from_plain",
    "space_to_plain",
]

SPACES: dict[str, Space] = {
    space.name: space for space in (DEFAULT, SMALL, ACLA, AGILEIR, GRFORMER, DRT, COMPACTER)
}
