"""Fitted numbers of `sim.model.linux.scheduler`."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import COSTS, Fitted

#: Probability that a thread keeps its core until its slice is over, when another thread that would
#: run next wakes up. The load generator always preempts: it has used its core least, and in 1,400
#: cases it waited for 0.01 ms in the median.
KEEP: Final = 0.7

#: Probability, for each thread that waits for the core already, that it comes before one that wakes
#: up and needs the core for a moment only: `pick_eevdf` takes the earliest deadline, and whoever
#: has waited mostly has that. In traces of Gunicorn 0.2 for each that waits, at each wake-up; but a
#: request that finds the cores busy has up to four of them (the worker's for the connection, the
#: pool thread's, the client's that was preempted before it could send, and the thread's again for
#: what that sent), and the model has two. With 0.3 it has how long requests take to start, beside
#: two to eight processes that compute.
PASSED: Final = 0.3

#: The same where it needs the core for longer than a slice: that it comes after all of them.
LAST: Final = 0.5

#: How much less often a busy core takes a thread from a longer queue than an idle one does. Where
#: one queue had two more than the other, it did so every 130 ms in traces of Gunicorn, and every
#: 64 ms in those of six processes that compute for 12.5 ms by turns. The model takes 24 ms: with
#: 60, the slowest twentieth of those takes 4 % longer than on Linux (`tests/model/test_cores.py`).
BALANCE: Final = 0.25

#: What several of them were fitted to.
_TRACES: Final = "traces of processes that sleep and compute"
_STARTS: Final = "requests to 2, 4 and 8 workers beside processes that compute"

#: The same numbers as a table, with those of `Costs` that belong to them.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("scheduler", "KEEP", __name__, "1,400 wake-ups of the load generator"),
    Fitted("scheduler", "PASSED", __name__, _STARTS),
    Fitted("scheduler", "LAST", __name__, _TRACES),
    Fitted("scheduler", "BALANCE", __name__, _TRACES),
    Fitted("scheduler", "wake_idle", COSTS, _TRACES),
    Fitted("scheduler", "pull", COSTS, _TRACES, probability=False),
)
