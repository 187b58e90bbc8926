"""System calls, which a thread makes without the GIL.

A call that returns at once has the GIL again before a thread that waits for it can wake up. One
that lasts may find it taken, and then waits for a switch interval, or for several.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sim.model.fitted.gil import (
    CROWDED,
    LOOP_CALLS_LOG,
    LOOP_CALLS_NEW,
    SEND_TAKEN_BY_ONE,
    SEND_TAKEN_BY_SEVERAL,
    TAKEN,
)


class Calls(NamedTuple):
    """The system calls of a step.

    Attributes:
        number: those at which a thread that waits may take it.
        long: whether they last as long as a first `send(2)`.
    """

    number: int
    long: bool = False


#: Of an event loop: none, those for a new connection, and the one for a line of uvicorn's log.
NONE: Final = Calls(0)
NEW: Final = Calls(LOOP_CALLS_NEW)
LOG: Final = Calls(LOOP_CALLS_LOG, long=True)


def taken_by(waiting: int, *, crowded: bool, long: bool = False) -> float:
    """The probability that a call loses the GIL to one of ``waiting`` threads, of at least one.

    Args:
        waiting: threads that wait for it.
        crowded: whether no core idles, see `CROWDED`.
        long: as of `Calls`.
    """
    if long:
        taken = SEND_TAKEN_BY_ONE if waiting == 1 else SEND_TAKEN_BY_SEVERAL
    else:
        taken = TAKEN[min(waiting, len(TAKEN)) - 1]
    return taken * CROWDED if crowded else taken
