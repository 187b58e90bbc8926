"""An event loop: one thread that runs callbacks in the order in which they became ready.

::

    ready: callback, callback, ... --> the thread runs one after the other --> poll
      ^                                        |                               |
      |                             a callback computes: all others wait       |
      +---- timers and sockets that became ready meanwhile --------------------+

A callback that computes holds up all others. One that waits for I/O returns to the loop, and holds
up nobody.

gevent's hub and asyncio's loop both work like this: they run what is ready, then poll once for
timers and sockets, and run that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sim.model.cpython.gil import Gil, Then
from sim.model.engine.clock import Clock


class EventLoop:
    """The event loop of one thread.

    Constants: ``clock``, ``gil`` (of its process), ``on_poll`` (called as the loop polls; it may
    add to ``callbacks``), ``on_sleep`` (called as it finds nothing to do), ``on_wake`` (called as
    it has slept, and something is to do).

    State:
        callbacks: what runs before the next poll, in this order.
        events: timers and sockets that have become ready since the last poll.
        asleep: whether the loop sleeps in its poll.
        stopped: whether the loop has been left for good.
    """

    __slots__ = (
        "_busy",
        "_then_next",
        "_then_over",
        "_turn",
        "asleep",
        "callbacks",
        "clock",
        "events",
        "gil",
        "on_poll",
        "on_sleep",
        "on_wake",
        "stopped",
    )

    def __init__(
        self,
        clock: Clock,
        gil: Gil,
        on_poll: Callable[[], None],
        on_sleep: Callable[[], None],
        on_wake: Callable[[], None],
    ) -> None:
        self.clock = clock
        self.gil = gil
        self.on_wake = on_wake
        self.on_poll = on_poll
        self.on_sleep = on_sleep
        self.callbacks: deque[tuple[Then, Any]] = deque()
        self.events: deque[tuple[Then, Any]] = deque()
        self.asleep = True
        self.stopped = False
        self._busy = False
        # Counts what the thread was thrown out of: what comes of that later is not for it.
        self._turn = 0
        self._then_next = self._next
        self._then_over = self._over

    def ready(self, function: Then, argument: Any) -> None:  # noqa: ANN401 - of `function`
        """Run ``function(argument)`` after the next poll: its timer or its socket is ready now."""
        self.events.append((function, argument))
        self.wake()

    def wake(self) -> None:
        """Return from the poll, if the thread sleeps in it."""
        if self.asleep and not self.stopped:
            self.on_wake()
            self.asleep = False
            self.gil.compute(0.0, self._then_next, self._turn)

    def compute(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401 - of `then`
        """From within a callback: compute for ``seconds``, then call ``then(argument)``.

        All other callbacks wait until that is over.
        """
        assert not self._busy, "a callback computes one thing at a time"
        self._busy = True
        self.gil.go_on(seconds, self._then_over, (self._turn, then, argument))

    def throw_out(self) -> None:
        """Forget the present callback, which an exception has ended, and go on with the next."""
        self._turn += 1
        self._busy = False
        self.gil.throw_out()
        self.asleep = False
        self.gil.compute(0.0, self._then_next, self._turn)

    def stop(self) -> None:
        """Leave the loop for good."""
        self.stopped = True
        self._turn += 1
        self.callbacks.clear()
        self.events.clear()

    def _over(self, callback: tuple[int, Then, Any]) -> None:
        """What a callback has computed is over."""
        turn, then, argument = callback
        if turn != self._turn:
            return
        self._busy = False
        then(argument)
        if not self._busy:
            self._next(turn)

    def _next(self, turn: int) -> None:
        """Run callbacks until one computes, or there is nothing to do."""
        callbacks = self.callbacks
        while turn == self._turn:
            if not callbacks:
                self.on_poll()
                if not callbacks:
                    if not self.stopped:
                        self.asleep = True
                        self.on_sleep()
                    return
            function, argument = callbacks.popleft()
            function(argument)
            if self._busy:
                return
