"""How far a measurement is, on one line of a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TextIO

from reference_app.client import Progress
from sim.experiment import Traffic

_ERASE = "\r\x1b[K"


def done(traffic: Traffic, answered: int, clock: float) -> float:
    """How much of a run is over, from 0 to 1, as far as its end can be foreseen.

    Args:
        traffic: that is sent.
        answered: requests so far.
        clock: s since the start of the run.
    """
    if traffic.arrivals == "closed" and traffic.requests is not None:
        return min(1.0, answered / traffic.requests)
    if traffic.arrivals == "trace":
        span = traffic.trace[-1].arrival_s
    elif traffic.arrivals != "closed" and traffic.requests is not None:
        span = traffic.requests / traffic.rate
    else:
        span = traffic.duration
    return min(1.0, clock / span) if span > 0 else 1.0


class ProgressLine:
    """Says on a terminal which run it is and how long all will take; elsewhere it is silent.

    Plain writes twice a second, not a live display, which would take its share of the processors
    that are measured.
    """

    def __init__(self, traffic: Traffic, runs: int, stream: TextIO) -> None:
        self._traffic = traffic
        self._runs = runs
        self._stream = stream if stream.isatty() else None
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write("")

    def progress(self, run: int) -> Progress:
        """What the run of that number, from 0, is to tell its progress."""
        self._write(f"run {run + 1} of {self._runs}: starting Gunicorn")

        def tell(answered: int, sent: int, clock: float) -> None:
            fraction = (run + done(self._traffic, answered, clock)) / self._runs
            words = f"run {run + 1} of {self._runs}: {answered:,} of {sent:,} sent are answered"
            if fraction > 0:
                left = (time.monotonic() - self._began) * (1 - fraction) / fraction
                words += f"; {100 * fraction:.0f} %, about {left:.0f} s left"
            self._write(words)

        return tell

    def _write(self, words: str) -> None:
        if self._stream is not None:
            self._stream.write(_ERASE + words)
            self._stream.flush()
