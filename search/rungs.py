"""Rungs: steps at which trials are compared while they train, and who of them goes on.

Successive halving (Karnin et al., 2013) without waiting for a rung to fill, as in ASHA (Li et al.,
2020): a trial is compared with those that reached the rung before it. "Before" means a lower
number, not an earlier moment, so that the outcome is the same for any number of workers and after
any kill. A trial goes on if none of the others dominates it, or if it is among the best of them by
non-dominated rank (Schmucker et al., Multi-objective asynchronous successive halving, 2021).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from lightir_core.errors import SearchError
from results.objectives import Objective, minimised
from results.pareto import ranks

FIDELITIES = ("none", "asha", "hyperband")

RUNGS = 1
"""Rungs below the whole training, unless the lowest is given; further down, scores rank badly."""


@dataclass(frozen=True)
class Fidelity:
    """Train up to `step` of a training of `steps`: what came before was asked for earlier.

    Without rungs there is one stretch, the whole training.
    """

    step: int
    steps: int

    @property
    def share(self) -> float:
        """Of the whole training, above 0 and up to 1."""
        return self.step / self.steps


@dataclass(frozen=True)
class Ladder:
    """A way up.

    Attributes:
        number: tells it from the others: only trials on the same ladder are compared.
        steps: of its rungs, rising; the last is the end of the training.
    """

    number: int
    steps: tuple[int, ...]

    def above(self, step: int) -> int:
        """Return the first rung above `step`."""
        return next(rung for rung in self.steps if rung > step)


@dataclass(frozen=True)
class Rungs:
    """How the trials of a search are compared on their way.

    Attributes:
        ladders: which trials climb in turn, those with `shares` more often.
        shares: trials on each ladder out of their sum.
        eta: of the trials at a rung, one in `eta` goes on.
    """

    ladders: tuple[Ladder, ...]
    shares: tuple[int, ...]
    eta: int

    def ladder(self, number: int) -> Ladder:
        """Return the ladder of trial `number`; every stretch of trials has its share of each."""
        return self._order[number % len(self._order)]

    @cached_property
    def _order(self) -> list[Ladder]:
        positions = [
            ((index + 0.5) / share, ladder.number, ladder)
            for ladder, share in zip(self.ladders, self.shares, strict=True)
            for index in range(share)
        ]
        return [ladder for *_, ladder in sorted(positions, key=lambda position: position[:2])]


def rungs_for(fidelity: str, steps: int, eta: int = 3, lowest: int = 0) -> Rungs:
    """Return the rungs of a kind of search.

    Args:
        fidelity: "none" trains every trial to its end; "asha" has one ladder; "hyperband" (Li et
            al., 2018) has one for every rung to start from, which hedges against a low rung that
            ranks badly. Each ladder gets about the same training.
        steps: of a whole training.
        eta: distance of the rungs as a factor, and of the trials at a rung one in `eta` goes on.
        lowest: step of the lowest rung; 0 puts `RUNGS` below the end.

    Raises:
        SearchError: an unknown kind, or rungs that do not fit between 1 and `steps`.
    """
    if fidelity not in FIDELITIES:
        raise SearchError(f"fidelity {fidelity!r} is not known; use one of {', '.join(FIDELITIES)}")
    if fidelity == "none":
        return Rungs((Ladder(0, (steps,)),), (1,), eta)
    lowest = lowest or steps // eta**RUNGS
    if not 1 <= lowest < steps:
        raise SearchError(
            f"the lowest rung at step {lowest} must lie between 1 and the {steps} steps of a "
            f"trial; train longer (--steps) or choose another --rung"
        )
    steps_up = [steps]
    while steps_up[-1] // eta >= lowest:
        steps_up.append(steps_up[-1] // eta)
    steps_up = sorted({lowest, steps} if len(steps_up) == 1 else steps_up)
    starts = range(len(steps_up) if fidelity == "hyperband" else 1)
    ladders = tuple(Ladder(start, tuple(steps_up[start:])) for start in starts)
    halvings = [len(ladder.steps) - 1 for ladder in ladders]
    # more trials where more of them are stopped: then each ladder takes about the same training
    shares = [-(-len(steps_up) * eta**times // (times + 1)) for times in halvings]
    return Rungs(ladders, tuple(shares) if len(shares) > 1 else (1,), eta)


class Comparison:
    """What every trial scored at every rung, and who goes on."""

    def __init__(self, objectives: Sequence[Objective], rungs: Rungs) -> None:
        """Start without trials."""
        self._objectives = objectives
        self._rungs = rungs
        self._reached: dict[tuple[int, int], dict[int, tuple[float, ...]]] = defaultdict(dict)

    def reach(self, number: int, step: int, values: Sequence[float]) -> None:
        """Trial `number` has these objective values at the rung after `step` steps."""
        ladder = self._rungs.ladder(number)
        self._reached[ladder.number, step][number] = minimised(self._objectives, values)

    def standing(self, number: int, step: int) -> tuple[int, int]:
        """Return how many did better at that rung before trial `number`, and how many got there.

        Itself is counted among the latter. A trial that none dominates has nobody better.
        """
        rung = self._reached[self._rungs.ladder(number).number, step]
        before = {other: values for other, values in rung.items() if other <= number}
        rank_of = dict(zip(before, ranks(list(before.values())), strict=True))
        rank_here = rank_of[number] or 0
        better = [
            o for o, rank in rank_of.items() if rank is not None and (rank, o) < (rank_here, number)
        ]
        return (len(better) if rank_here else 0), len(before)

    def goes_on(self, number: int, step: int) -> bool:
        """Return whether a trial that reached a rung goes on from it."""
        better, reached = self.standing(number, step)
        return better < max(1, reached // self._rungs.eta)


class Climb:
    """A generation on its way up: which training comes next, and who has to stop.

    A decision waits until every trial of a lower number on the same ladder has reached the rung or
    has ended, and for nothing else.
    """

    def __init__(self, comparison: Comparison, rungs: Rungs, *, small_first: bool = False) -> None:
        """Start without trials.

        Args:
            comparison: of the whole search.
            rungs: of the whole search.
            small_first: train the smallest first, so that more of them end before a deadline; else
                the largest, so that the workers end at about the same time.
        """
        self._sign = -1 if small_first else 1
        self._comparison = comparison
        self._rungs = rungs
        self._work: dict[int, float] = {}
        self._at: dict[int, int] = {}
        self._ready: dict[int, int] = {}
        self._waiting: set[int] = set()

    def start(self, number: int, work: float) -> None:
        """Put a trial at the bottom; `work` is what a step of it takes, in any unit."""
        self._work[number], self._at[number] = work, 0
        self._ready[number] = self._rungs.ladder(number).steps[0]

    @property
    def over(self) -> bool:
        """Whether all have ended."""
        return not self._at

    def next(self) -> tuple[int, int] | None:
        """Return a trial and the step to train it to; None while all depend on others.

        Those that are further up come first: what they take is soonest known.
        """
        if not self._ready:
            return None
        number = max(self._ready, key=lambda n: (self._at[n], self._sign * self._work[n], -n))
        return number, self._ready.pop(number)

    def reach(self, number: int, step: int, values: Sequence[float]) -> None:
        """Take in that a trial has reached a rung below the end with these objective values."""
        self._comparison.reach(number, step, values)
        self._ready.pop(number, None)
        self._at[number] = step
        self._waiting.add(number)

    def end(self, number: int) -> None:
        """Take in that a trial has ended, well or not."""
        del self._at[number]
        self._ready.pop(number, None)
        self._waiting.discard(number)

    def stopped(self) -> Iterator[tuple[int, int, str]]:
        """Decide what can be decided; trials that go no further, from which step, and why."""
        for number in sorted(self._waiting):
            ladder, step = self._rungs.ladder(number), self._at[number]
            if self._must_wait(number, ladder, step):
                continue
            self._waiting.discard(number)
            if self._comparison.goes_on(number, step):
                self._ready[number] = ladder.above(step)
            else:
                self.end(number)
                better, reached = self._comparison.standing(number, step)
                yield number, step, f"stopped at step {step}: {better} of {reached} did better"

    def _must_wait(self, number: int, ladder: Ladder, step: int) -> bool:
        return any(
            other < number and at < step and self._rungs.ladder(other) == ladder
            for other, at in self._at.items()
        )
