"""Where the model notes what happened; the only thing that outlives a run."""

from __future__ import annotations

from sim.run import ProcessEvent
from sim.run.rows import Rows


class Recorder:
    """The run as it grows.

    Attributes:
        start: the model's time at the first moment of the run, s; rows count from it.
        requests: the source's rows.
        events: process events so far, in the model's time.
    """

    __slots__ = ("events", "requests", "start")

    def __init__(self, requests: Rows) -> None:
        self.start = 0.0
        self.requests = requests
        self.events: list[tuple[float, str, str]] = []

    def event(self, time: float, kind: str, process: str) -> None:
        """Note that ``kind`` happened to ``process`` at ``time``."""
        self.events.append((time, kind, process))

    def process_events(self) -> tuple[ProcessEvent, ...]:
        """The events, counted from the start of the run."""
        return tuple(
            ProcessEvent(time - self.start, kind, name) for time, kind, name in self.events
        )
