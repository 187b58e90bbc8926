"""SimPy's environment and event, in the form that the hot path needs.

A generator process costs three events and a generator for each step, and a request takes half a
dozen steps. So whatever acts on a request schedules a plain function `Clock.after` some time. Slow
life (boot) is SimPy's processes, in the same queue.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Any

from simpy import Environment, Event
from simpy.core import StopSimulation
from simpy.events import NORMAL, URGENT, EventPriority


def _nothing_left(_: None) -> None:
    raise RuntimeError("nothing is left to happen, but the end has not come")


class Clock(Environment):
    """An `Environment` whose queue holds functions, and SimPy's events for `step` to take.

    An entry is ``(time, priority, number, function, argument)``; numbers keep what is due at the
    same time in the order in which it was scheduled.

    Attributes:
        time: the present, s; the same as ``now``, without the cost of a property.
    """

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self._entries: list[Any] = self._queue
        # So that there is always a next entry to compare times with.
        last: Any = (inf, NORMAL + 1, 0, _nothing_left, None)
        self._entries.append(last)

    def run_until(self, end: Event) -> None:
        """Call what is due, in order, until ``end`` has happened.

        Raises:
            RuntimeError: when nothing is left to happen before that.
        """
        if end.callbacks is None:
            return
        end.callbacks.append(StopSimulation.callback)
        queue = self._entries
        try:
            while True:
                self.time, _, _, function, argument = heappop(queue)
                function(argument)
        except StopSimulation:
            return

    def after(self, delay: float, function: Callable[[Any], None], argument: object) -> None:
        """Call ``function(argument)`` in ``delay`` s."""
        heappush(self._entries, (self.time + delay, NORMAL, next(self._eid), function, argument))

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: float = 0) -> None:
        """Schedule one of SimPy's own events, of which there are few."""
        time = self.time + delay
        heappush(self._entries, (time, priority, next(self._eid), self._happen, event))

    def _happen(self, event: Event) -> None:
        # It goes back, as the first of all, for `step` to take.
        heappush(self._queue, (self.time, URGENT, -1, event))
        self.step()


class Call:
    """Calls ``function(call)`` whenever it comes due, `after` some time."""

    __slots__ = ("clock", "function")

    def __init__(self, clock: Clock, function: Callable[[Call], None]) -> None:
        self.clock = clock
        self.function = function

    def after(self, delay: float) -> None:
        """Come due ``delay`` s from now."""
        self.clock.after(delay, self.function, self)
