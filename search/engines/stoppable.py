"""An engine that starts nothing more once the user wants to stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile

from search.evaluators.job import Job, Outcome
from search.loop import Engine
from search.stopping import Stop


class Stoppable:
    """Another engine, whose running jobs are waited for while the rest is left."""

    def __init__(self, engine: Engine, stop: Stop) -> None:
        """Run jobs with `engine` until `stop` says so."""
        self._engine = engine
        self._stop = stop

    def run(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Outcome]]:
        """Outcomes of the jobs that were started."""
        return self._engine.run(takewhile(lambda job: not self._stop(), jobs))
