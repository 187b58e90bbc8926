"""CPU of greenlets: what each computes between the switches that begin and end its turns.

greenlet calls a function of ours at each switch of its thread (``greenlet.settrace``). A function
that is there already is called as well. Greenlets that a request starts itself have no clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Final

Tracer = Callable[[str, tuple[Hashable, Hashable]], None]

#: Of a clock: s of CPU before this turn, and the thread's CPU when the turn began.
_USED: Final = 0
_SINCE: Final = 1


class GreenletClocks:
    """Clocks of the greenlets of one thread.

    Args:
        greenlet: the module, which this project does not bring.
    """

    def __init__(self, greenlet: ModuleType) -> None:
        self._current: Callable[[], Hashable] = greenlet.getcurrent
        self._running: dict[Hashable, list[float]] = {}
        self._before: Tracer | None = greenlet.settrace(self._switched)

    def start(self) -> None:
        """Begin a clock of the greenlet that runs."""
        self._running[self._current()] = [0.0, time.thread_time()]

    def stop(self) -> float:
        """End the clock of the greenlet that runs.

        Returns:
            What the greenlet computed since `start`, s.

        Raises:
            KeyError: when it has none.
        """
        used, since = self._running.pop(self._current())
        return used + time.thread_time() - since

    def _switched(self, event: str, greenlets: tuple[Hashable, Hashable]) -> None:
        """End a turn, and begin another; greenlet calls it once the second one runs."""
        origin, target = greenlets
        ended, begun = self._running.get(origin), self._running.get(target)
        if ended is not None or begun is not None:
            now = time.thread_time()
            if ended is not None:
                ended[_USED] += now - ended[_SINCE]
            if begun is not None:
                begun[_SINCE] = now
        if self._before is not None:
            self._before(event, greenlets)
