"""How networks are looked for: the command line, strategies, engines, compression, pipeline.

    from search import SearchConfig, run

    mine = run(SearchConfig(budget="400k"), "runs/mine")
    print(mine.best(params=400_000).scores, mine.report)

The names below are loaded when they are first used: importing the package costs nothing.
"""

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from results.run_view import BestModel, Run
    from search.api import AskTell, Question, resume, run
    from search.config import SearchConfig
    from search.rungs import Fidelity

__all__ = ["AskTell", "BestModel", "Fidelity", "Question", "Run", "SearchConfig", "resume", "run"]

_HOMES = {
    "AskTell": "search.api",
    "BestModel": "results.run_view",
    "Fidelity": "search.rungs",
    "Question": "search.api",
    "Run": "results.run_view",
    "SearchConfig": "search.config",
    "resume": "search.api",
    "run": "search.api",
}

_RENAMED = {"Found": "BestModel"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever the name stands for
    """Load a public name from its module (PEP 562)."""
    if name in _RENAMED:
        warnings.warn(f"{name} is called {_RENAMED[name]} now", FutureWarning, stacklevel=2)
        name = _RENAMED[name]
    if name not in _HOMES:
        raise AttributeError(f"module 'search' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
