"""Who has which job, when pilots come, go and come back from the dead."""

import asyncio
import time

import pytest

from search.engines.desk import Desk, Done, Loss, OpenDesk, Ticket


@pytest.fixture
def desk():
    desk = Desk(attempts=2)
    desk.arrive(0, "ann", "north")
    desk.arrive(1, "bob", "south")
    for number in range(3):
        desk.put(number, b"job %d" % number)
    return desk


def test_jobs_go_out_in_order_and_come_back_once(desk):
    assert desk.next("ann") == Ticket(0, b"job 0")
    assert desk.next("bob") == Ticket(1, b"job 1")
    assert desk.give("bob", 1, b"one")
    assert desk.take() == [Done(1, b"one")]
    assert desk.take() == []
    assert not desk.give("bob", 1, b"again")
    assert desk.take() == []


def test_who_asks_twice_gets_the_same_job(desk):
    assert desk.next("ann") == desk.next("ann") == Ticket(0, b"job 0")
    assert desk.next("bob").number == 1


def test_a_lost_pilots_job_goes_ahead_of_the_others(desk):
    desk.next("ann")
    assert desk.lose(0) == Loss("north", 0)
    assert desk.next("bob") == Ticket(0, b"job 0")
    assert desk.give("bob", 0, b"zero")
    assert desk.take() == [Done(0, b"zero", ("north",))]


def test_a_pilot_without_a_job_is_lost_quietly(desk):
    assert desk.lose(1) == Loss("south", None)
    assert desk.lose(1) is None
    assert desk.lose(7) is None
    assert desk.next("ann").number == 0


def test_whoever_sits_down_in_a_seat_makes_the_one_before_lost(desk):
    desk.next("ann")
    desk.arrive(0, "ann again", "east")
    assert not desk.knows("ann")
    assert desk.next("ann") is None
    assert desk.next("ann again").number == 0


def test_the_first_result_counts_even_of_a_pilot_that_was_believed_dead(desk):
    desk.next("ann")
    desk.lose(0)
    assert desk.next("bob").number == 0
    assert desk.give("ann", 0, b"from the dead")
    assert not desk.give("bob", 0, b"late")
    assert desk.take() == [Done(0, b"from the dead", ("north",))]
    assert desk.next("bob").number == 1


def test_a_result_from_the_dead_takes_the_job_off_the_desk(desk):
    desk.next("ann")
    desk.lose(0)
    assert desk.give("ann", 0, b"from the dead")
    assert desk.next("bob").number == 1


def test_a_lost_pilot_whose_job_another_has_ended_puts_nothing_back(desk):
    desk.next("ann")
    desk.lose(0)
    desk.next("bob")
    desk.give("ann", 0, b"from the dead")
    assert desk.lose(1) == Loss("south", None)
    desk.arrive(0, "cid", "east")
    assert desk.next("cid").number == 1


def test_a_job_that_pilots_die_of_is_given_up(desk):
    desk.next("ann")
    desk.lose(0)
    desk.next("bob")
    assert desk.lose(1) == Loss("south", 0)
    assert desk.take() == [Done(0, None, ("north", "south"))]
    desk.arrive(0, "cid", "east")
    assert desk.next("cid").number == 1


def test_waiting_ends_with_a_job_a_result_a_goodbye_or_the_time():
    async def story():
        desk = OpenDesk(2)
        await desk.arrive(0, "ann", "north")
        begun = time.monotonic()
        assert await desk.next("ann", 0.05) is False
        assert await desk.take(0.05) == []
        assert time.monotonic() - begun > 0.09
        waiting = asyncio.create_task(desk.next("ann", 30))
        await asyncio.sleep(0.01)
        await desk.put(5, b"job")
        assert await waiting == Ticket(5, b"job")
        results = asyncio.create_task(desk.take(30))
        await asyncio.sleep(0.01)
        assert await desk.give("ann", 5, b"five")
        assert await results == [Done(5, b"five")]
        last = asyncio.create_task(desk.next("ann", 30))
        await asyncio.sleep(0.01)
        await desk.close()
        assert await last is True
        assert time.monotonic() - begun < 20

    asyncio.run(story())


def test_who_was_believed_dead_is_sent_home():
    async def story():
        desk = OpenDesk(2)
        await desk.arrive(0, "ann", "north")
        waiting = asyncio.create_task(desk.next("ann", 30))
        await asyncio.sleep(0.01)
        assert await desk.lose(0) == Loss("north", None)
        assert await waiting is True

    asyncio.run(story())
