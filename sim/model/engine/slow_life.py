"""SimPy's environment, whose events wait in the queue of the model's clock.

It is not compiled: a compiled class cannot extend an interpreted one. No request needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simpy import Environment, Event
from simpy.events import NORMAL, URGENT, EventPriority

#: `Clock` puts a call into its queue: the delay in s, whether it is urgent, the function and its
#: argument.
Schedule = Callable[[float, bool, Callable[[Any], None], object], None]


class SlowLife(Environment):
    """The environment of SimPy's processes and events."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._later = schedule

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: float = 0) -> None:
        """Put an event into the clock's queue."""
        self._later(delay, priority <= URGENT, self._happen, event)

    def _happen(self, event: Event) -> None:
        # `step` takes it at once: SimPy's own queue holds nothing else.
        self._queue.append((self._now, URGENT, 0, event))
        self.step()
