"""The desk of a cluster: jobs wait on it, pilots fetch them and bring back what came of them.

A pilot that dies has its job put back ahead of the others, to be taken by whoever is free next. A
job is counted when its first result comes, from whomever; what comes later is dropped. Asking
twice gives the same job twice, so that a pilot may ask again when the network ate the reply.

Jobs and results pass through as bytes: the desk neither knows nor loads what they are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ticket:
    """A job handed out.

    Attributes:
        number: of the job on this desk.
        job: the job itself.
    """

    number: int
    job: bytes


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        number: of the job on this desk.
        result: None if too many pilots died of it.
        losses: the node on which a pilot died of it, or with it, each time.
    """

    number: int
    result: bytes | None
    losses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """A pilot that is gone: the node it was on, and the number of the job it had."""

    node: str
    number: int | None


@dataclass
class _Entry:
    job: bytes
    losses: list[str] = field(default_factory=list[str])


class Desk:
    """Who has which job."""

    def __init__(self, attempts: int) -> None:
        """Begin empty; a job of which `attempts` pilots have died is not handed out again."""
        self._attempts = attempts
        self._entries: dict[int, _Entry] = {}
        self._waiting = deque[int]()
        self._seats: dict[int, str] = {}
        self._nodes: dict[str, str] = {}
        self._held: dict[str, int] = {}
        self._done: list[Done] = []
        self.closed = False

    def arrive(self, seat: int, pilot: str, node: str) -> None:
        """A pilot takes a seat, on a node; whoever had the seat before is lost."""
        self.lose(seat)
        self._seats[seat], self._nodes[pilot] = pilot, node

    @property
    def pilots(self) -> int:
        """How many pilots there are."""
        return len(self._seats)

    def knows(self, pilot: str) -> bool:
        """Whether the pilot has a seat; one that was believed dead has none any more."""
        return pilot in self._nodes

    def put(self, number: int, job: bytes) -> None:
        """Lay a job on the desk; its number must be new."""
        self._entries[number] = _Entry(job)
        self._waiting.append(number)

    def next(self, pilot: str) -> Ticket | None:
        """The job that the pilot has, or the one that has waited longest; None if there is none."""
        number = self._held.get(pilot)
        if number is None:
            if not self._waiting or not self.knows(pilot):
                return None
            number = self._held[pilot] = self._waiting.popleft()
        return Ticket(number, self._entries[number].job)

    def give(self, pilot: str, number: int, result: bytes) -> bool:
        """Take a result; false if the job was over already."""
        if self._held.get(pilot) == number:
            del self._held[pilot]
        return self._end(number, result)

    def lose(self, seat: int) -> Loss | None:
        """The pilot in a seat is gone: its job, if it had one, is the next to be handed out."""
        pilot = self._seats.pop(seat, None)
        if pilot is None:
            return None
        node, number = self._nodes.pop(pilot), self._held.pop(pilot, None)
        if number is None:
            return Loss(node, None)
        losses = self._entries[number].losses
        losses.append(node)
        if len(losses) >= self._attempts:
            self._end(number, None)
        else:
            self._waiting.appendleft(number)
        return Loss(node, number)

    def take(self) -> list[Done]:
        """What has ended since this was last asked."""
        done, self._done = self._done, []
        return done

    def _end(self, number: int, result: bytes | None) -> bool:
        entry = self._entries.pop(number, None)
        if entry is None:
            return False
        if number in self._waiting:
            self._waiting.remove(number)
        for other in [pilot for pilot, held in self._held.items() if held == number]:
            del self._held[other]
        self._done.append(Done(number, result, tuple(entry.losses)))
        return True


class OpenDesk:
    """A desk that many may wait at: every method of it is called from afar."""

    def __init__(self, attempts: int) -> None:
        """As `Desk`."""
        self._desk = Desk(attempts)
        self._changed = asyncio.Condition()

    async def put(self, number: int, job: bytes) -> None:
        """As `Desk.put`."""
        async with self._changed:
            self._desk.put(number, job)
            self._changed.notify_all()

    async def arrive(self, seat: int, pilot: str, node: str) -> None:
        """As `Desk.arrive`."""
        async with self._changed:
            self._desk.arrive(seat, pilot, node)
            self._changed.notify_all()

    async def pilots(self) -> int:
        """As `Desk.pilots`."""
        return self._desk.pilots

    async def next(self, pilot: str, wait_s: float) -> Ticket | bool:
        """As `Desk.next`, waiting for a job; false if none came, true if the pilot may go home."""
        async with self._changed:
            desk = self._desk
            await self._until(
                lambda: desk.closed or not desk.knows(pilot) or desk.next(pilot), wait_s
            )
            if desk.closed or not desk.knows(pilot):
                return True
            return desk.next(pilot) or False

    async def give(self, pilot: str, number: int, result: bytes) -> bool:
        """As `Desk.give`."""
        async with self._changed:
            taken = self._desk.give(pilot, number, result)
            self._changed.notify_all()
            return taken

    async def lose(self, seat: int) -> Loss | None:
        """As `Desk.lose`."""
        async with self._changed:
            loss = self._desk.lose(seat)
            self._changed.notify_all()
            return loss

    async def take(self, wait_s: float) -> list[Done]:
        """As `Desk.take`, waiting for something to end; empty if nothing has."""
        async with self._changed:
            found: list[Done] = []
            await self._until(lambda: found.extend(self._desk.take()) or found, wait_s)
            return found

    async def close(self) -> None:
        """Send everybody home who asks."""
        async with self._changed:
            self._desk.closed = True
            self._changed.notify_all()

    async def _until(self, condition: Callable[[], object], wait_s: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait_for(condition), wait_s)
        except TimeoutError:
            return
