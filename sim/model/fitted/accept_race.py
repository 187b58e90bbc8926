"""Fitted numbers of `sim.model.linux.accept_race`, and of the client that connects."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import COSTS, XEON, Fitted

#: s after which a race is lost to another core e times less often. From 11,000 connections to 2, 4
#: and 8 workers in scheduler traces, at 50 and 56 requests/s: 7-15 ms for each kind. It is not
#: `Costs.cooling`, which is about caches and changes from hour to hour.
REST: Final = 0.01

#: Factor on a poller's chance to win against a rival that lost the previous race, if the poller has
#: accepted since the preempting poller has, or has finished a request. In the traces 0.54 and
#: 0.6-0.68 at once, down to 0.28.
WARMER: Final = 2.1

#: The same factor if the preempting poller has finished a request since the rival ran (0.03-0.06).
COLDER: Final = 0.15

#: Rate, per further woken poller, at which the other core wins a race that it would have lost. The
#: client wakes the pollers one after another before the preempting poller can run, and each wake-up
#: takes the same time. So the other core stays behind with a probability of ``exp(-DELAY *
#: further)``. Of 2, 4 and 8 pollers 0.01, 0.06 and 0.09 lost after rests of 30 ms and more; this
#: gives 0, 0.04 and 0.12.
DELAY: Final = 0.0208

#: Probability that the scheduler owes a poller time, by what its last turn was. It finished a
#: request, with a core to itself: 0.06-0.25 in the traces, by whether the client ran there just
#: then. Its thread went on with a request that waited: 0.76-0.89. It won the previous connection
#: and has yet to finish it: 0.45-0.53 if it is woken first, 0.2 if it stays on its core.
OWED_AFTER_FINISH: Final = 0.11
OWED_AFTER_RELAY: Final = 0.8
OWED_AFTER_ACCEPT: Final = 0.5
STAYING_OWED_AFTER_ACCEPT: Final = 0.25

#: Probability, above chance, that a poller which won the previous connection and stays on its core
#: is on the client's core. The client connects from the core of the last response. If the poller
#: has finished that request since, alone, it is there in 0.76-0.89 of the cases; before that in
#: 0.57-0.63. If its thread went on with another request, that request has the core (0.4).
STAYS_AFTER_FINISH: Final = 0.65
STAYS_AFTER_ACCEPT: Final = 0.2

#: On machines without affine wake-ups the client does not follow the core of the last response. It
#: connects from a core of its own. A poller that has finished a request since the previous
#: connection is there less often than by chance, by this factor (0.13-0.28 on one of two cores; all
#: others 0.38-0.51).
APART_AFTER_FINISH: Final = 0.3

#: Probability, on such machines, that the scheduler owes a poller time. It has finished a request:
#: 0.29-0.67 on the client's core, 0.2-0.5 on another. It won the previous connection, on another
#: core: 0.06-0.2. It is woken first and has not run since. Any other: 0.73-0.81 on the client's
#: core. The values lie within or next to these ranges. They are fitted to the shares of 2, 3 and 4
#: workers at two loads, and of 2 workers with waiting requests: at most 0.02 off.
APART_OWED_AFTER_FINISH: Final = 0.3
APART_OWED_AFTER_ACCEPT: Final = 0.05
APART_FIRST_OWED: Final = 0.2
APART_OWED: Final = 0.9

#: `Costs.wake_overtake` on such machines, fitted with them; with 8 workers at most 0.04 off.
APART_OVERTAKE: Final = 0.6

#: Time constant (s) of the lead of the worker that accepted the previous connection, as its caches
#: cool. It leads a fresh poller, which has to copy pages before it can accept. Measured on
#: second connections to 2 workers after a boot. Of 56 that came 9 and 15 ms after the first, 53
#: went to the same worker; of 44 that came 30 and 60 ms after it, 30 (`tests/model/test_wakeup.py`
#: has more).
COPYING: Final = 0.035

#: s until the client sleeps after it has connected: 0.25-0.46 ms in the scheduler's traces.
CLIENT_LEAVES: Final = 0.00035

#: Probability, for each other poller, that it accepts a second connection before the worker that
#: accepted the first polls again. It holds where the client has not drawn the poller to its core,
#: has not slept between the two, and no core idles. The poller was woken for the first connection,
#: and may still wait for that worker's core. On 23.0.0, of 216 second connections 167 went to the
#: same one of 2 workers, and 73 to the same one of 4.
BEFORE_WINNER: Final = 0.3

#: Probability that a main thread which has handed a connection to an idle pool thread accepts the
#: next, which is there already, before that thread takes the GIL: `epoll_wait(2)` returns at once,
#: and the pool thread has yet to wake up. On 27.0.1, where each connection is handed over at once,
#: 126 and 60 of 216 went to the same worker, instead of 167 and 73.
ACCEPTS_ON: Final = 0.75

#: Mean number of pollers on each other core that wake up for a connection which is gone before they
#: accept: EAGAIN. Counted on 23.0.0, per connection: 0.26, 0.51 and 0.47 of 2 workers, 0.33 of 4,
#: all on 2 cores.
WOKEN_FOR_NOTHING: Final = 0.4

#: What several numbers were fitted to.
_TRACES: Final = "scheduler traces of 11,000 connections to 2, 4 and 8 workers"
_SHARES: Final = "shares of 2, 3 and 4 workers at two loads"
_PAIRS: Final = "864 pairs of connections to 2 and 4 workers, 0.1 to 0.3 ms apart"
_BOOTS: Final = "first and second connections after a boot"

#: All of them as a table, with the fields of `Costs` that belong to them.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("accept race", "REST", __name__, _TRACES, probability=False),
    Fitted("accept race", "WARMER", __name__, _TRACES, probability=False),
    Fitted("accept race", "COLDER", __name__, _TRACES),
    Fitted("accept race", "DELAY", __name__, _TRACES),
    Fitted("accept race", "OWED_AFTER_FINISH", __name__, _TRACES),
    Fitted("accept race", "OWED_AFTER_RELAY", __name__, _TRACES),
    Fitted("accept race", "OWED_AFTER_ACCEPT", __name__, _TRACES),
    Fitted("accept race", "STAYING_OWED_AFTER_ACCEPT", __name__, _TRACES),
    Fitted("accept race", "STAYS_AFTER_FINISH", __name__, _TRACES),
    Fitted("accept race", "STAYS_AFTER_ACCEPT", __name__, _TRACES),
    Fitted("accept race", "APART_AFTER_FINISH", __name__, _SHARES, XEON),
    Fitted("accept race", "APART_OWED_AFTER_FINISH", __name__, _SHARES, XEON),
    Fitted("accept race", "APART_OWED_AFTER_ACCEPT", __name__, _SHARES, XEON),
    Fitted("accept race", "APART_FIRST_OWED", __name__, _SHARES, XEON),
    Fitted("accept race", "APART_OWED", __name__, _SHARES, XEON),
    Fitted("accept race", "APART_OVERTAKE", __name__, _SHARES, XEON),
    Fitted("accept race", "COPYING", __name__, _BOOTS, probability=False),
    Fitted("accept race", "BEFORE_WINNER", __name__, _PAIRS),
    Fitted("accept race", "ACCEPTS_ON", __name__, _PAIRS),
    Fitted("accept race", "CLIENT_LEAVES", __name__, "scheduler traces", probability=False),
    Fitted("accept race", "wake_first", COSTS, _SHARES),
    Fitted("accept race", "wake_owed", COSTS, _SHARES),
    Fitted("accept race", "wake_affine", COSTS, _SHARES, calibrated=True),
    Fitted("accept race", "wake_late", COSTS, _SHARES, calibrated=True),
    Fitted("accept race", "wake_overtake", COSTS, _SHARES),
    Fitted("accept race", "wake_warm", COSTS, _SHARES, calibrated=True),
)
