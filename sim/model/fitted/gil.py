"""Fitted numbers of `sim.model.cpython.gil`, and of the races for the GIL in a gthread worker."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import Fitted

#: s for which a thread may hold the GIL without delaying others: about the time that they need to
#: wake up. Gunicorn's own steps take less; an application that computes takes more.
SOON: Final = 0.001

#: Probability that the thread which waits awake for the GIL takes it before a thread that is woken
#: for it; for each thread that is woken. Fitted, with the numbers of a gthread worker below, to how
#: long requests take to start beside 2, 3 and 5 threads that compute.
STEALS: Final = 0.85

#: Probability that a thread which drops the GIL for a moment finds it taken by a thread that waits:
#: with one, two, three and more threads waiting. The moment is a short system call, or the handing
#: of a connection to another thread. Fitted, with `CALLS_NEW` and `CALLS_KEPT`, to 70 requests each
#: beside 1, 2, 3 and 5 threads that compute for seconds. On a new connection they start after 14,
#: 167, 147 and 129 ms (model: 14, 150, 142 and 138), on a kept one after 8, 67, 56 and 72 ms
#: (model: 8, 74, 68 and 68).
TAKEN: Final[tuple[float, ...]] = (0.3, 0.95, 0.8, 0.6)

#: Such calls before the application runs, on a new connection and on a kept one. More calls drop
#: the GIL than count here: many of them return at once.
CALLS_NEW, CALLS_KEPT = 6, 2

#: The same probability for a response's first `send(2)`, which takes longer. One thread waits: 36
#: of 38 times on the real server. Several wait: with 2, 3 and 5 threads the response ends 15-22 ms
#: later.
SEND_TAKEN_BY_ONE, SEND_TAKEN_BY_SEVERAL = 0.95, 0.85

#: Factor on these probabilities where another worker computes on each of the other cores: the
#: waiting thread cannot wake up while the call lasts. Fitted to requests on new connections, of
#: five loads of 2 and 4 workers, that came while another worker computed. Beside one thread that
#: computed in their own worker they started after 5.9-8.7 ms in the median (model: 6.2-7.9, and
#: 8.6-13.6 without this factor); beside two after 10-33 ms (model: 13-35, and 27-41 without).
CROWDED: Final = 0.4

#: Such calls of an event loop for a new connection, beside plain functions that compute. uvicorn
#: also writes a line of its log before it sends a response, which takes as long as a first
#: `send(2)`. Both were fitted to medians of 3 to 30 requests each, one at a time to one worker,
#: beside 1, 2, 3 and 5 functions. On new connections coroutines took 12, 121, 193 and 321 ms with
#: asgi (model: 13, 86, 113 and 120), and 17, 352, 226 and 487 ms with uvicorn's worker (model: 18,
#: 104, 145 and 143); on kept ones 6, 27, 27 and 67 ms (model: 7, 21, 25 and 29), and 11, 89, 38 and
#: 91 ms (model: 12, 36, 45 and 68). They are as uncertain as `TAKEN`: on that day gthread's
#: requests took 0.8 to 7 times as long as what it was fitted to.
LOOP_CALLS_NEW: Final = 4

#: What several numbers were fitted to.
_WAITING: Final = "70 requests each beside 1, 2, 3 and 5 threads that compute"

#: All of them as a table.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("GIL", "SOON", __name__, "turns of Gunicorn's own steps", probability=False),
    Fitted("GIL", "STEALS", __name__, _WAITING),
    Fitted("GIL", "TAKEN", __name__, _WAITING),
    Fitted("GIL", "SEND_TAKEN_BY_ONE", __name__, _WAITING),
    Fitted("GIL", "SEND_TAKEN_BY_SEVERAL", __name__, _WAITING),
    Fitted("GIL", "CROWDED", __name__, "requests to 2 and 4 workers while another computes"),
)
