"""One line of a terminal that says what is under way, how far all is, and how long it will take."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self, TextIO

_ERASE = "\r\x1b[K"

#: Characters of the bar, and of a terminal that does not say how wide it is.
BAR = 10
COLUMNS = 80

#: s after which what is over tells how long the rest will take better than a plan does.
LEARNT = 3.0

#: s above which time is told in minutes.
MINUTES = 120.0


class ProgressLine:
    """Says on a terminal what is under way, on a line that is gone at the end.

    Plain writes when there is something new, not a live display, which would take its share of the
    processors that are measured.

    Args:
        stream: that is told.
        steps: whether a stream that is no terminal gets a line for each step; else nothing.
    """

    def __init__(self, stream: TextIO, *, steps: bool = False) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._steps = steps
        self._step = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._move("")

    def say(
        self, step: str, done: float = 0.0, *, detail: str = "", planned: float | None = None
    ) -> None:
        """Something is under way.

        Args:
            step: what it is.
            done: how much of all is over, from 0 to 1.
            detail: what a terminal hears besides.
            planned: s that all was planned to take; the time left until there is more to go by.
        """
        if self._moves:
            filled = round(BAR * done)
            text = f"[{'#' * filled}{'.' * (BAR - filled)}] {100 * done:.0f} %"
            remaining = self._remaining(done, planned)
            if remaining is not None:
                text += f", about {_time(remaining)} left"
            self._move(f"{text}: {step}{detail}")
        elif self._steps and step != self._step:
            self.stay(step)
        self._step = step

    def stay(self, text: str) -> None:
        """Write a line that stays, whatever the stream is."""
        self._move("")
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _remaining(self, done: float, planned: float | None) -> float | None:
        """S until the measurement ends; None where that is not known."""
        over = time.monotonic() - self._began
        if planned is not None and over < LEARNT:
            return planned * (1 - done)
        return over * (1 - done) / done if done > 0 else None

    def _move(self, text: str) -> None:
        if self._moves:
            # A line that wraps could not be erased.
            self._stream.write(_ERASE + text[: _columns(self._stream) - 1])
            self._stream.flush()


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        return COLUMNS


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES else f"{seconds / 60:.0f} min"


def print_progress(text: str) -> None:
    """Say on standard error what takes a while."""
    sys.stderr.write(f"{text}\n")
