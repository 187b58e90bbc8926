"""CPU of greenlets: what each computes between the switches that begin and end its turns.

greenlet calls a function of ours at each switch of its thread (``greenlet.settrace``). A function
that is there already is called as well. Greenlets that a request starts itself have no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import thread_time_ns
from types import ModuleType
from typing import Final

Tracer = Callable[[str, tuple[Hashable, Hashable]], None]

#: Of a clock: ns of CPU before this turn, and the thread's CPU when the turn began.
_USED: Final = 0
_SINCE: Final = 1


class GreenletClocks:
    """Clocks of the greenlets of one thread.

    Args:
        greenlet: the module, which this project does not bring.
    """

    def __init__(self, greenlet: ModuleType) -> None:
        self._current: Callable[[], Hashable] = greenlet.getcurrent
        self._running: dict[Hashable, list[int]] = {}
        before: Tracer | None = greenlet.settrace(None)
        greenlet.settrace(_tracer(self._running, before))

    def start(self) -> None:
        """Begin a clock of the greenlet that runs."""
        self._running[self._current()] = [0, thread_time_ns()]

    def stop(self) -> int:
        """End the clock of the greenlet that runs.

        Returns:
            What the greenlet computed since `start`, ns.

        Raises:
            KeyError: when it has none.
        """
        used, since = self._running.pop(self._current())
        return used + thread_time_ns() - since


def _tracer(running: dict[Hashable, list[int]], before: Tracer | None) -> Tracer:
    """What greenlet is to call at each switch, once the second greenlet runs.

    It ends the turn of the first, and begins one of the second, where they are among ``running``.
    """
    # A function with cells: a method would take a fifth longer.
    clock_of, now = running.get, thread_time_ns

    def switched(event: str, greenlets: tuple[Hashable, Hashable]) -> None:
        # Nothing is looked up while connections wait for their next requests.
        if running:
            origin, target = greenlets
            if (ended := clock_of(origin)) is not None:
                ended[_USED] += now() - ended[_SINCE]
            if (begun := clock_of(target)) is not None:
                begun[_SINCE] = now()
        if before is not None:
            before(event, greenlets)

    return switched
