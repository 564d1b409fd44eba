import os
import re
import signal
import threading

import pytest

from lightir_core.errors import SearchError
from search.cli.run import FIRST, stopping
from search.config import SearchConfig, default_folder, parse_duration
from search.jobs import Silent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("1.5s", 1.5), ("10min", 600), ("10m", 600), ("2h", 7200),
     ("0.5h", 1800), (" 3 min ", 180), ("007s", 7)],
)  # fmt: skip
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1d", "10 minutes", "1h30", "1e3", "1,5h", "nan", "inf", "10ms"]
)
def test_what_is_no_duration(text):
    with pytest.raises(SearchError, match=r"time '.*' is not a duration; write 90s, 10min or 2h"):
        parse_duration(text)


def test_the_default_folder_is_named_after_the_run():
    folder = default_folder(SearchConfig(task="denoise:15-50", budget="params=400k, macs=30G"))
    assert re.fullmatch(r"runs/denoise-15-50-params-400k-macs-30G-\d{8}-\d{6}", folder.as_posix())


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
