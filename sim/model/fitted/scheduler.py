"""Fitted numbers of `sim.model.linux.scheduler`."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import COSTS, Fitted

#: Probability that a thread keeps its core until its slice is over, when a thread that would run
#: next wakes up. The load generator always preempts: it has used its core least, and in 1,400 cases
#: it waited for 0.01 ms in the median.
KEEP: Final = 0.7

#: Probability, for each thread in a core's queue, that it runs before a thread that wakes up and
#: needs the core for less than a slice. `pick_eevdf` takes the earliest deadline, which mostly
#: belongs to a thread that has waited. In traces of Gunicorn it is 0.2 for each waiting thread, at
#: each wake-up. A request that finds the cores busy has up to four wake-ups: the worker's for the
#: connection, the pool thread's, the client's and the thread's again. The client was preempted
#: before it could send, so the thread waited for what it sends. The model has two of them. With 0.3
#: it predicts how long requests take to start beside two to eight processes that compute.
PASSED: Final = 0.3

#: The same for a thread that needs the core for longer than a slice: that it runs after all of
#: them.
LAST: Final = 0.5

#: Rate at which a busy core takes a thread from a longer queue, as a part of the rate of an idle
#: core. It was traced where one queue was two threads longer than the other. It happened every
#: 130 ms with Gunicorn, and every 64 ms with six processes that compute for 12.5 ms by turns. The
#: model has 24 ms: with 60 ms the slowest twentieth of those takes 4 % longer than on Linux
#: (`tests/model/test_cores.py`).
BALANCE: Final = 0.25

#: What several numbers were fitted to.
_TRACES: Final = "traces of processes that sleep and compute"
_STARTS: Final = "requests to 2, 4 and 8 workers beside processes that compute"

#: All of them as a table, with the fields of `Costs` that belong to them.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("scheduler", "KEEP", __name__, "1,400 wake-ups of the load generator"),
    Fitted("scheduler", "PASSED", __name__, _STARTS),
    Fitted("scheduler", "LAST", __name__, _TRACES),
    Fitted("scheduler", "BALANCE", __name__, _TRACES),
    Fitted("scheduler", "wake_idle", COSTS, _TRACES),
    Fitted("scheduler", "pull", COSTS, _TRACES, probability=False),
)
