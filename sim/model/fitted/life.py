"""Fitted numbers of a worker: its first request, and its end."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import Fitted

#: Part by which `Costs.first_request` is more or less for one worker than for another: in one hour
#: first requests began 5.2 to 7.6 ms after their arrival, others after 2.
PAGES: Final = 0.25

#: What is left of it where each worker has imported the application itself, and shares less with
#: the master: they began after 3.7 ms in the median, with `preload_app` after 5.5, others after 1.7
#: (gthread; sync 3.9, 5.8 and 1.7).
NOT_PRELOADED: Final = 0.5

#: How much longer Python's end takes than it can, at most: 66 to 145 ms of the same service,
#: nearly all of it after the pool threads are joined. A reload that goes wrong has two outcomes
#: for it.
SLOWEST_END: Final = 2.2

#: The same numbers as a table.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("pages", "PAGES", __name__, "first requests after a boot, 5.2 to 7.6 ms"),
    Fitted("pages", "NOT_PRELOADED", __name__, "first requests with and without preload_app"),
    Fitted(
        "life", "SLOWEST_END", __name__, "exits of one service, 66 to 145 ms", probability=False
    ),
)
