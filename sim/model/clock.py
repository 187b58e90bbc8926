"""SimPy's environment and event, in the form that the hot path needs.

A generator process costs three events and a generator for each step, and a request takes half a
dozen steps. So whatever acts on a request has a `Call` of its own, which is an event that can be
scheduled again once it is over. Slow life (boot) is SimPy's processes, in the same queue.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from simpy import Environment, Event
from simpy.events import NORMAL, EventPriority


class Clock(Environment):
    """An `Environment` whose `run` goes through `Call`s without the detour of callbacks.

    Attributes:
        time: the present, s; the same as ``now``, without the cost of a property.
    """

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def run_until(self, end: Event) -> None:
        """Process events in order until ``end`` has happened.

        Raises:
            RuntimeError: when nothing is left to happen before that.
        """
        queue = self._queue
        while end.callbacks is not None:
            try:
                entry = heappop(queue)
            except IndexError:
                raise RuntimeError("nothing is left to happen, but the end has not come") from None
            event = entry[3]
            self.time = entry[0]
            if event.__class__ is Call:
                event.function(event)
            else:
                # SimPy's own affair: it goes back for `step` to take.
                heappush(queue, entry)
                self.step()

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: float = 0) -> None:
        """Schedule one of SimPy's own events, of which there are few, at SimPy's own time."""
        self._now = self.time
        super().schedule(event, priority, delay)


class Call(Event):
    """Calls ``function(call)`` whenever it comes due, `after` some time.

    It must not be scheduled again while it is pending.
    """

    def __init__(self, clock: Clock, function: Callable[[Call], None]) -> None:
        super().__init__(clock)
        self.clock = clock
        self.function = function
        self._queue = clock._queue
        self._next_id = clock._eid.__next__

    def after(self, delay: float) -> None:
        """Come due ``delay`` s from now."""
        heappush(self._queue, (self.clock.time + delay, NORMAL, self._next_id(), self))
