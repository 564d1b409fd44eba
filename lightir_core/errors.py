"""The errors that a user can cause, one family per package.

Every message says what was wrong, what was expected and how to put it right; the command line
prints it as it stands and exits with status 2.
"""

import difflib
from collections.abc import Iterable


class LightIRError(Exception):
    """Base of every error that LightIR raises on purpose.

    `exit_status` is what the command line ends with: 2 for wrong usage, 1 for work that failed.
    """

    exit_status = 2


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class ArchitectureError(LightIRError, ValueError):
    """An architecture that cannot exist, or a file that does not describe one."""


class ShapeError(LightIRError, ValueError):
    """A tensor whose shape does not fit the operation."""


class DataError(LightIRError, ValueError):
    """An image, a folder or a data set that cannot be used."""


class CheckpointError(LightIRError, ValueError):
    """A weights file that is missing, broken or made for another network."""


class TrainingError(LightIRError, RuntimeError):
    """A training that diverged or could not run."""


class DivergedError(TrainingError):
    """A training whose loss got out of hand; lower learning rates may help."""

    def __init__(self, message: str, step: int = 0) -> None:
        """`step` is the one, counted from 1, after which it was clear."""
        super().__init__(message)
        self.step = step


class SpaceError(LightIRError, ValueError):
    """A search space, or a choice in one, that makes no sense."""


class BudgetError(LightIRError, ValueError):
    """A budget that cannot be read, or that nothing can meet."""


class ResultsError(LightIRError, ValueError):
    """A run folder that is missing, damaged or in use."""


class SearchError(LightIRError, RuntimeError):
    """A search that cannot be started or continued."""


class RunFailedError(SearchError):
    """A search that was started rightly and came to nothing."""

    exit_status = 1


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'width'?``, or nothing where nothing is close."""
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
