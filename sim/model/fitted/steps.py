"""Fitted numbers of the steps of a request in a gthread worker."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import Fitted

#: What a request on a kept connection costs a thread that takes it without having slept, as a part
#: of what it costs one that was woken for it: 0.26 ms of CPU instead of 0.35 from `handle()` until
#: Flask's dispatch, and 0.06 instead of 0.11 from the answer before until there. On a new
#: connection the main thread is after the GIL meanwhile, and nothing is saved.
AT_ONCE: Final = 0.78

#: The same numbers as a table.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("steps", "AT_ONCE", __name__, "CPU of requests on kept connections"),
)
