"""Fitted numbers of `sim.model.linux.accept_race`, and of the client that connects."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import COSTS, XEON, Fitted

#: s after which a race is lost to another core e times less often. Of 11,000 connections of 2, 4
#: and 8 workers in the scheduler's traces, at 50 and 56 requests/s, each kind has 7 to 15 ms. Not
#: `Costs.cooling`, which is of caches and as long as the hour has it.
REST: Final = 0.01

#: How much more often than a rival that has lost the race before, one wins that has accepted since
#: the preempting poller has, or finished a request (0.54 and 0.6 to 0.68 at once, to 0.28).
WARMER: Final = 2.1

#: The same where the preempting poller has finished one since the rival ran (0.03 to 0.06).
COLDER: Final = 0.15

#: Rate per further woken poller at which the other core wins a race that it would have lost. The
#: client wakes one poller after another before the preempting one can run, and each wake-up takes
#: the same time. So the other core stays behind with a probability of ``exp(-DELAY * further)``.
#: Of 2, 4 and 8 pollers 0.01, 0.06 and 0.09 lost after rests of 30 ms and more; this has 0, 0.04
#: and 0.12.
DELAY: Final = 0.0208

#: Probability that a poller is owed time whose last turn was to finish a request, with a core to
#: itself (in the traces 0.06 to 0.25, by whether the client ran there just then), of one whose
#: thread went on with a request that waited (0.76 to 0.89), and of one that has won the connection
#: before and has yet to finish it: the first to be woken (0.45 to 0.53), or one that stays (0.2).
OWED_AFTER_FINISH: Final = 0.11
OWED_AFTER_RELAY: Final = 0.8
OWED_AFTER_ACCEPT: Final = 0.5
STAYING_OWED_AFTER_ACCEPT: Final = 0.25

#: Probability that a poller which has won the connection before, and stays, is on the client's core
#: for more than chance: the client comes from the core of the last answer. If it has finished that
#: since, alone, it is there 0.76 to 0.89 of the times, and before it has 0.57 to 0.63. If the
#: thread went on, that has the core (0.4).
STAYS_AFTER_FINISH: Final = 0.65
STAYS_AFTER_ACCEPT: Final = 0.2

#: Where the client draws nobody, it is not drawn by answers either: it connects from a core of its
#: own, where a poller that has finished a request since the last connection is so many times less
#: often than by chance (0.13 to 0.28 on one of two cores; all others 0.38 to 0.51).
APART_AFTER_FINISH: Final = 0.3

#: Probability there that a poller is owed time which has finished a request (0.29 to 0.67 on the
#: client's core, 0.2 to 0.5 on another); which has won the connection before, on another core (0.06
#: to 0.2); the first to be woken, if it has had no time since; and any other (0.73 to 0.81 on the
#: client's core). Within, or next to, what the traces have of each, these are fitted to the shares
#: of 2, 3 and 4 workers at two loads and of 2 in which requests wait: 0.02 off at most.
APART_OWED_AFTER_FINISH: Final = 0.3
APART_OWED_AFTER_ACCEPT: Final = 0.05
APART_FIRST_OWED: Final = 0.2
APART_OWED: Final = 0.9

#: `Costs.wake_overtake` there, fitted with them: with 8 workers, to 0.04 at most.
APART_OVERTAKE: Final = 0.6

#: s in which the caches of who has accepted the connection before lose so much that it is e times
#: less often ahead of a fresh poller, which has to copy pages before it can accept. Second
#: connections to 2 workers after a boot: of 56 that came 9 and 15 ms after the first 53 went to the
#: same worker, of 44 that came 30 and 60 ms after it 30 (`tests/model/test_wakeup.py` has more).
COPYING: Final = 0.035

#: s until the client sleeps after it has connected: 0.25 to 0.46 ms in the scheduler's traces.
CLIENT_LEAVES: Final = 0.00035

#: What several of them were fitted to.
_TRACES: Final = "scheduler traces of 11,000 connections to 2, 4 and 8 workers"
_SHARES: Final = "shares of 2, 3 and 4 workers at two loads"
_BOOTS: Final = "first and second connections after a boot"

#: The same numbers as a table, with those of `Costs` that belong to them.
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
    Fitted("accept race", "CLIENT_LEAVES", __name__, "scheduler traces", probability=False),
    Fitted("accept race", "wake_first", COSTS, _SHARES),
    Fitted("accept race", "wake_owed", COSTS, _SHARES),
    Fitted("accept race", "wake_affine", COSTS, _SHARES, calibrated=True),
    Fitted("accept race", "wake_late", COSTS, _SHARES, calibrated=True),
    Fitted("accept race", "wake_overtake", COSTS, _SHARES),
    Fitted("accept race", "wake_warm", COSTS, _SHARES, calibrated=True),
)
