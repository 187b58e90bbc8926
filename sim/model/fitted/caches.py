"""Fitted numbers of `sim.model.caches`."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import Fitted

#: What a step costs where many of its kind have followed each other at once in its worker, as a
#: part of what it costs after one. Fitted to the responses per second of closed loops that do not
#: think, to one and two workers of each class, with 20 users and 0.1 ms of computing: real ones are
#: 0.86 to 1.75 times as many as predicted (1.3 to 3.0 times without: 1). With 8 users and 1, 5 and
#: 20 ms of computing they are 0.88 to 1.15, 0.98 to 1.05 and 0.98 to 1.04 times as many (1.11 to
#: 1.34, 1.03 to 1.14 and 1.00 to 1.05 times without). Where requests come 20 ms apart it moves
#: nothing.
HOT: Final = 0.4

#: All of them as a table.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("caches", "HOT", __name__, "closed loops that do not think, 18 servers"),
)
