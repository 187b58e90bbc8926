"""SimPy's environment without a queue of its own: its events wait in that of the model's clock.

Not compiled, as a class under one of Python's own cannot be; nothing of it is in a request's way.
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
    """What SimPy's processes and events live in."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._later = schedule

    def schedule(self, event: Event, priority: EventPriority = NORMAL, delay: float = 0) -> None:
        """Let an event happen, when it is its turn in the clock's queue."""
        self._later(delay, priority <= URGENT, self._happen, event)

    def _happen(self, event: Event) -> None:
        # The only one in SimPy's queue, for `step` to take.
        self._queue.append((self._now, URGENT, 0, event))
        self.step()
