"""Fitted numbers of a worker: its first request, and its end."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import Fitted

#: Spread of `Costs.first_request` between workers, as a part of it. Within one hour, first requests
#: began 5.2-7.6 ms after their arrival, and other requests after 2 ms.
PAGES: Final = 0.25

#: Factor on `Costs.first_request` without `preload_app`: each worker has imported the application
#: itself, and shares fewer pages with the master. First requests began after 3.7 ms in the median,
#: with `preload_app` after 5.5 ms, and other requests after 1.7 ms (gthread; sync 3.9, 5.8 and 1.7
#: ms).
NOT_PRELOADED: Final = 0.5

#: Longest interpreter shutdown, as a multiple of the shortest: 66-145 ms with the same service,
#: nearly all of it after the pool threads are joined. Whether a reload that goes wrong has one
#: outcome or the other depends on it.
SLOWEST_END: Final = 2.2

#: All of them as a table.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("pages", "PAGES", __name__, "first requests after a boot, 5.2 to 7.6 ms"),
    Fitted("pages", "NOT_PRELOADED", __name__, "first requests with and without preload_app"),
    Fitted(
        "life", "SLOWEST_END", __name__, "exits of one service, 66 to 145 ms", probability=False
    ),
)
