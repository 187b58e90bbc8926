"""What a terminal, and what is none, hears of how far a measurement is."""

from __future__ import annotations

import io
import time

import pytest

from reference_app.rig.progress_line import ProgressLine
from reference_app.rig.run_progress import run_progress
from sim.experiment import Traffic


class Terminal(io.StringIO):
    """A terminal of 80 columns that keeps what was written."""

    def isatty(self) -> bool:
        """As it says."""
        return True

    def shown(self) -> str:
        """What is on its last line."""
        return self.getvalue().rpartition("\x1b[K")[2]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the time is, s."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_hears_how_long_the_rest_will_take(clock: list[float]) -> None:
    terminal = Terminal()
    with ProgressLine(terminal) as line:
        line.say("boots", planned=100.0)
        assert terminal.shown() == "[..........] 0 %, about 100 s left: boots"
        line.say("boots")
        assert terminal.shown() == "[..........] 0 %: boots"
        clock[0] = 40.0
        line.say("shares", 0.25, detail=", two workers", planned=100.0)
        words = "[##........] 25 %, about 2 min left: shares, two workers"
        assert terminal.shown() == words
        line.stay("boots: 3 ms")
        assert terminal.shown() == "boots: 3 ms\n"
        line.say("w" * 200)
        assert len(terminal.shown()) == 79
    assert terminal.shown() == ""


def test_a_file_hears_of_each_step_once_or_of_none() -> None:
    file = io.StringIO()
    with ProgressLine(file) as line:
        line.say("boots", 0.5)
    assert file.getvalue() == ""
    with ProgressLine(file, steps=True) as line:
        for step in ("boots", "boots", "shares"):
            line.say(step, 0.5, detail=", much detail")
    assert file.getvalue() == "boots\nshares\n"


@pytest.mark.usefixtures("clock")
def test_a_run_says_which_of_how_many_it_is() -> None:
    terminal = Terminal()
    with ProgressLine(terminal) as line:
        tell = run_progress(line, Traffic(rate=10.0, requests=100), 1, 4)
        assert terminal.shown().endswith("25 %, about 0 s left: run 2 of 4: starting Gunicorn")
        tell(1007, 1010, 5.0)
        assert terminal.shown().endswith(": run 2 of 4: 1,007 of 1,010 answered")
        assert "] 38 %," in terminal.shown()
