import os
import signal
import threading

import pytest

from search.callbacks import Silent
from search.cli.stopping import FIRST, stopping


class Hearing(Silent):
    def __init__(self):
        self.heard = threading.Event()
        self.notes = []

    def note(self, text):
        self.notes.append(text)
        self.heard.set()


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_once_is_a_wish_and_twice_is_an_order():
    before = signal.getsignal(signal.SIGINT)
    callback = Hearing()
    with stopping(callback) as stop:
        assert not stop()
        press()
        assert stop()
        assert callback.heard.wait(5)
        assert callback.notes == [FIRST]
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) == before
