"""What may be chosen: search spaces as plain data, no tensor."""

from spaces.decode import Frame, Value
from spaces.space import Choices, Dimension, Space, When

__all__ = ["Choices", "Dimension", "Frame", "Space", "Value", "When"]
