"""Jobs that wait in a queue."""

from search.jobs import JobQueue, drive_function


def test_a_queue_hands_out_in_order_and_keeps_what_comes_back():
    heard = []
    queue = JobQueue("abc", on_outcome=lambda job, outcome: heard.append((job, outcome)))
    first, second = queue.ask(), queue.ask()
    queue.tell(second, 2)
    queue.tell(first, 1)
    assert queue.ask() == "c"
    assert queue.ask() is None
    assert queue.outcomes == heard == [("b", 2), ("a", 1)]


def test_nothing_is_handed_out_once_the_user_stops():
    queue = JobQueue(range(9), lambda: len(queue.outcomes) == 3)
    drive_function(queue, lambda job: -job)
    assert queue.outcomes == [(0, 0), (1, -1), (2, -2)]
    assert queue.ask() is None


def test_jobs_are_made_when_they_are_asked_for():
    made = []
    queue = JobQueue(made.append(number) or number for number in range(3))
    assert made == []
    queue.ask()
    assert made == [0]
