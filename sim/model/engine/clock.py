"""The model's time, and the queue of what is to happen.

A generator process costs three events and a generator for each step, and a request takes half a
dozen steps. So the steps of requests are plain functions, which `Clock.after` calls when they are
due. What happens rarely (boot, signals) are SimPy's processes, in the same queue; see
`sim.model.engine.slow_life`.

Most calls are the next thing to happen when they are scheduled: they end a step of a few tenths of
a millisecond. The next call waits beside the queue, so that it costs a comparison instead of two
ways through a heap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from simpy import Event, Process
from simpy.core import StopSimulation
from simpy.events import ProcessGenerator

from sim.model.engine.heap import Entry, pop, push
from sim.model.engine.infinity import inf
from sim.model.engine.slow_life import SlowLife

if TYPE_CHECKING:
    from mypy_extensions import i64

#: More calls than any run has.
ALL_CALLS: Final = 2**62

#: Subtracted from the number of an urgent entry, which comes before all others of its time.
URGENT: Final = 10**15

#: Whether the next thing to happen waits beside the queue. Without, the same happens in the same
#: order, only more slowly: `tests/model/test_beside_the_queue.py` holds the one to the other.
BESIDE: Final = True

#: The time of the next call when there is none beside the queue, s: no time is earlier.
NONE: Final = -1.0


def _nothing_left(_: object) -> None:
    raise RuntimeError("nothing is left to happen, but the end has not come")


class Clock:
    """Calls functions when they are due. Nothing else moves the time on.

    Attributes:
        time: the present, s.
        entries: the queue, a heap.
        number: of the last entry.
    """

    __slots__ = (
        "_argument",
        "_function",
        "_next",
        "_number",
        "_slow_life",
        "entries",
        "number",
        "time",
    )

    def __init__(self) -> None:
        self.time = 0.0
        self.number = 0
        # So that there is always an entry in the queue to compare times with.
        self.entries: list[Entry] = []
        push(self.entries, (inf, URGENT, _nothing_left, None))
        # What waits beside the queue. It is due before all that is in it, or at the same time and
        # has a lower number.
        self._next = NONE
        self._number = 0
        self._function: Callable[[Any], None] = _nothing_left
        self._argument: object = None
        self._slow_life = SlowLife(self._schedule)

    def run_until(self, end: Event, calls: int = ALL_CALLS) -> bool:
        """Call what is due, in order, until ``end`` has happened.

        Args:
            end: what to wait for.
            calls: most calls to make now. The next `run_until` goes on from there, and what happens
                is the same as without a pause.

        Returns:
            Whether ``end`` has happened.

        Raises:
            RuntimeError: when nothing is left to happen before that.
        """
        if end.processed:
            return True
        if StopSimulation.callback not in end.callbacks:
            end.callbacks.append(StopSimulation.callback)
        entries = self.entries
        remaining: i64 = calls
        try:
            while remaining > 0:
                remaining -= 1
                if self._next >= 0.0:
                    time, function, argument = self._next, self._function, self._argument
                    self._next = NONE
                else:
                    due = pop(entries)
                    time, function, argument = due[0], due[2], due[3]
                assert time >= self.time, "time never runs back"
                self.time = time
                function(argument)
        except StopSimulation:
            return True
        return False

    def after(self, delay: float, function: Callable[[Any], None], argument: object) -> None:
        """Call ``function(argument)`` in ``delay`` s."""
        assert delay >= 0.0, "nothing is due in the past"
        self.number = number = self.number + 1
        due = self.time + delay
        waits = self._next >= 0.0
        earliest: float = self._next if waits else self.entries[0][0]
        if due < earliest and BESIDE:
            if waits:
                self._make_way()
            self._next = due
            self._number = number
            self._function = function
            self._argument = argument
        else:
            push(self.entries, (due, number, function, argument))

    def _make_way(self) -> None:
        """Put what waits beside the queue into it."""
        if self._next >= 0.0:
            push(self.entries, (self._next, self._number, self._function, self._argument))
            self._next = NONE

    # Slow life.

    def event(self) -> Event:
        """One of SimPy's events, for a process to wait for."""
        return Event(self._slow_life)

    def timeout(self, delay: float) -> Event:
        """An event that happens in ``delay`` s."""
        return self._slow_life.timeout(delay)

    def process(self, steps: ProcessGenerator) -> Process:
        """One of SimPy's processes, which begins now."""
        return self._slow_life.process(steps)

    def _schedule(
        self, delay: float, urgent: bool, function: Callable[[Any], None], argument: object
    ) -> None:
        self._make_way()
        self.number = number = self.number + 1
        if urgent:
            number -= URGENT
        push(self.entries, (self.time + delay, number, function, argument))


class Call:
    """Calls ``function(call)`` whenever it comes due, `after` some time."""

    __slots__ = ("clock", "function")

    def __init__(self, clock: Clock, function: Callable[[Call], None]) -> None:
        self.clock = clock
        self.function = function

    def after(self, delay: float) -> None:
        """Come due ``delay`` s from now."""
        self.clock.after(delay, self.function, self)
