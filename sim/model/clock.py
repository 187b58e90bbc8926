"""SimPy's environment and event, in the form that the hot path needs.

A generator process costs three events and a generator for each step, and a request takes half a
dozen steps. So whatever acts on a request has a `Call` of its own, which is an event that can be
scheduled again once it is over. Slow life (boot) is SimPy's processes, in the same queue.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from simpy import Environment, Event
from simpy.events import NORMAL


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
            if not queue:
                raise RuntimeError("the model has nothing left to do, but has not ended")
            event = queue[0][3]
            if event.__class__ is Call:
                self.time = self._now = heappop(queue)[0]
                event.function(event)
            else:
                self.time = self.peek()
                self.step()


class Call(Event):
    """Calls ``function(call)`` whenever it comes due, `after` some time.

    It must not be scheduled again while it is pending.
    """

    def __init__(self, clock: Clock, function: Callable[[Call], None]) -> None:
        super().__init__(clock)
        self.clock = clock
        self.function = function

    def after(self, delay: float) -> None:
        """Come due ``delay`` s from now."""
        clock = self.clock
        heappush(clock._queue, (clock.time + delay, NORMAL, next(clock._eid), self))
