"""Fitted numbers of the steps of a request in a gthread worker."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import Fitted

#: CPU of a request on a kept connection in a thread that takes it without having slept, as a part
#: of the CPU in a thread that was woken for it. From `handle()` to Flask's dispatch it is 0.26
#: instead of 0.35 ms, and from the response before to `handle()` 0.06 instead of 0.11 ms. On a new
#: connection nothing is saved: the main thread asks for the GIL meanwhile.
AT_ONCE: Final = 0.78

#: All of them as a table.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("steps", "AT_ONCE", __name__, "CPU of requests on kept connections"),
)
