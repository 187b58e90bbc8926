"""Fitted numbers of `sim.model.cpython.gil`, and of the races for the GIL in a gthread worker."""

from __future__ import annotations

from typing import Final

from sim.model.fitted.number import Fitted

#: s for which a thread may hold the GIL without the others' taking notice: about what they need to
#: wake up. Gunicorn's own steps take less, an application that computes takes more.
SOON: Final = 0.001

#: Probability that the thread which asks for the GIL takes it before one that is woken up for it,
#: of each of those. Fitted, with those of a gthread worker below, to how long requests take
#: to start beside 2, 3 and 5 threads that compute.
STEALS: Final = 0.85

#: Probability that a thread which lets go of the GIL for a short system call, or hands a connection
#: over to another thread, finds it taken by one that waits for it: where one waits, two, three, and
#: more do. Fitted, with `CALLS_NEW` and `CALLS_KEPT`, to 70 requests each beside 1, 2, 3 and 5
#: threads that compute for seconds: on a new connection they start after 14, 167, 147 and 129 ms
#: (here 14, 150, 142 and 138), on a kept one after 8, 67, 56 and 72 ms (8, 74, 68 and 68).
TAKEN: Final = (0.3, 0.95, 0.8, 0.6)

#: Such calls on the way to the application, of a new connection and of a kept one: those that count
#: are fewer than those that let go of the GIL, for many of them come back at once.
CALLS_NEW, CALLS_KEPT = 6, 2

#: The same of a response's first `send(2)`, which takes longer: where one thread waits (36 of 38
#: times on the real server), and where several do (15 to 22 ms after it, with 2, 3 and 5).
SEND_TAKEN_BY_ONE, SEND_TAKEN_BY_SEVERAL = 0.95, 0.85

#: How much less often that is where another worker computes on each of the other cores: the thread
#: that waits cannot wake up while the call lasts. Fitted to requests on new connections, of five
#: loads of 2 and 4 workers, that came while another worker computed: beside one that computed in
#: their own they started after 5.9 to 8.7 ms in the median (here 6.2 to 7.9, and 8.6 to 13.6
#: without this), beside two after 10 to 33 ms (13 to 35, and 27 to 41).
CROWDED: Final = 0.4

#: What several of them were fitted to.
_WAITING: Final = "70 requests each beside 1, 2, 3 and 5 threads that compute"

#: The same numbers as a table.
FITTED: Final[tuple[Fitted, ...]] = (
    Fitted("GIL", "SOON", __name__, "turns of Gunicorn's own steps", probability=False),
    Fitted("GIL", "STEALS", __name__, _WAITING),
    Fitted("GIL", "TAKEN", __name__, _WAITING),
    Fitted("GIL", "SEND_TAKEN_BY_ONE", __name__, _WAITING),
    Fitted("GIL", "SEND_TAKEN_BY_SEVERAL", __name__, _WAITING),
    Fitted("GIL", "CROWDED", __name__, "requests to 2 and 4 workers while another computes"),
)
