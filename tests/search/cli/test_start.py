import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli import app
from search.cli.start import FIVE


@pytest.fixture
def alone(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return ended.value.code, capsys.readouterr().out


def test_alone_the_program_names_five_things_with_a_line_each(alone):
    code, out = alone
    assert code in (0, None)
    assert len(FIVE) == 5
    for number, (what, line) in enumerate(FIVE, 1):
        assert f"{number}. {what}\n     {line}\n" in out
    assert "lightir --install-completion" in out
    assert len(out.splitlines()) <= 24


def test_the_shell_completes_commands_and_flags():
    """What bash asks when TAB is pressed behind `lightir run --bud`."""

    def completed(line):
        code = "import sys; sys.argv = ['lightir']; from search.cli.app import main; main()"
        asked = {"_LIGHTIR_COMPLETE": "complete_bash", "COMP_WORDS": line}
        asked["COMP_CWORD"] = str(len(line.split()) - 1)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **asked},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    assert "resume" in completed("lightir re")
    assert completed("lightir run --bud") == ["--budget"]
