"""System calls, which a thread makes without the GIL.

A call that returns at once has the GIL again before a thread that waits for it can wake up. One
that lasts may find it taken, and then waits for a switch interval, or for several.
"""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from sim.model.fitted.gil import (
    CALLS_KEPT,
    CALLS_NEW,
    CROWDED,
    LOOP_CALLS_NEW,
    SEND_TAKEN_BY_ONE,
    SEND_TAKEN_BY_SEVERAL,
    TAKEN,
)
from sim.model.linux.scheduler import Cores


class Calls(NamedTuple):
    """The system calls of a step.

    Attributes:
        number: those at which a thread that waits may take it.
        long: whether they last as long as a first `send(2)`.
    """

    number: int
    long: bool = False


#: Before the application runs: of a pool thread, on a new connection and on a kept one, and of an
#: event loop, for a new connection.
NEW: Final = Calls(CALLS_NEW)
KEPT: Final = Calls(CALLS_KEPT)
LOOP_NEW: Final = Calls(LOOP_CALLS_NEW)

#: A first `send(2)`, or what lasts as long.
SEND: Final = Calls(1, long=True)

NONE: Final = Calls(0)


def lost(calls: Calls, waiting: int, cores: Cores, races: Random) -> int:
    """How many of a step's calls lose the GIL.

    Args:
        calls: of the step.
        waiting: threads that wait for the GIL.
        cores: of the host.
        races: stream that decides.
    """
    if not waiting:
        return 0
    if calls.long:
        taken = SEND_TAKEN_BY_ONE if waiting == 1 else SEND_TAKEN_BY_SEVERAL
    else:
        taken = TAKEN[min(waiting, len(TAKEN)) - 1]
    if cores.crowded():
        taken *= CROWDED
    return sum(races.random() < taken for _ in range(calls.number))
