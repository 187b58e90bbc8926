"""Request rows, as columns: one row a request.

Times are in s since the start of the run; NaN in a column means that it did not happen, or that the
interpreter cannot see it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple, get_args

Outcome = Literal[
    "ok",
    "refused",
    "reset",
    "timeout",
    "error_5xx",
    "unfinished",
    "bad_gateway",
    "gateway_timeout",
]


#: The code of an outcome in `Requests.outcome` is its place here.
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


OK: Final = 0
REFUSED: Final = 1
RESET: Final = 2
TIMEOUT: Final = 3
ERROR_5XX: Final = 4
UNFINISHED: Final = 5
BAD_GATEWAY: Final = 6
GATEWAY_TIMEOUT: Final = 7


NAN = math.nan

#: In `Requests.route`, where a request has no route.
NO_ROUTE: Final = -1


class Request(NamedTuple):
    """One request.

    Attributes:
        arrival: when the client was to send it, s.
        accepted: when a worker's `accept(2)` took its connection, s; of a reused connection,
            when the worker saw the request.
        started: when the application began to run for it, s.
        finished: when the client knew the outcome, s.
        worker: boot order of the worker that ran it, from 1; 0 for none.
        thread: pool thread in that worker, from 1; 0 for none or not known.
        outcome: one of `OUTCOMES`.
        io: s that it was to wait.
        cpu: s that it was to compute.
        route: the name of its route; None where it has none.
    """

    arrival: float
    accepted: float
    started: float
    finished: float
    worker: int
    thread: int
    outcome: Outcome
    io: float
    cpu: float
    route: str | None = None

    @property
    def latency(self) -> float:
        """Sojourn time: from the scheduled arrival to the known outcome, s."""
        return self.finished - self.arrival

    @property
    def wait(self) -> float:
        """From the scheduled arrival to the start of the application, s."""
        return self.started - self.arrival


@dataclass(slots=True)
class Requests:
    """The columns of all requests, in order of arrival; see `Request` for each.

    Attributes:
        routes: names of the routes; empty where requests have none, and so is the next column.
        route: the place of each request's route in ``routes``; -1 for none.
    """

    arrival: array[float] = field(default_factory=lambda: array("d"))
    accepted: array[float] = field(default_factory=lambda: array("d"))
    started: array[float] = field(default_factory=lambda: array("d"))
    finished: array[float] = field(default_factory=lambda: array("d"))
    worker: array[int] = field(default_factory=lambda: array("i"))
    thread: array[int] = field(default_factory=lambda: array("i"))
    outcome: array[int] = field(default_factory=lambda: array("b"))
    io: array[float] = field(default_factory=lambda: array("d"))
    cpu: array[float] = field(default_factory=lambda: array("d"))
    routes: tuple[str, ...] = ()
    route: array[int] = field(default_factory=lambda: array("h"))

    @classmethod
    def scheduled(
        cls,
        arrival: array[float],
        io: array[float],
        cpu: array[float],
        routes: tuple[str, ...] = (),
        route: array[int] | None = None,
    ) -> Requests:
        """Rows of requests of which only arrival and demand are known; keeps the arrays."""
        n = len(arrival)
        never = array("d", [NAN]) * n
        none = array("i", [0]) * n
        return cls(
            arrival,
            never,
            never[:],
            never[:],
            none,
            none[:],
            array("b", [UNFINISHED]) * n,
            io,
            cpu,
            routes,
            array("h") if route is None else route,
        )

    def append(self, arrival: float, io: float, cpu: float, route: int = NO_ROUTE) -> int:
        """Add a request of which only the arrival is known, and return its row number."""
        if self.routes:
            self.route.append(route)
        self.arrival.append(arrival)
        self.accepted.append(NAN)
        self.started.append(NAN)
        self.finished.append(NAN)
        self.worker.append(0)
        self.thread.append(0)
        self.outcome.append(UNFINISHED)
        self.io.append(io)
        self.cpu.append(cpu)
        return len(self.arrival) - 1

    def without(self, rows: Collection[int]) -> Requests:
        """The same requests but for these ``rows``; itself, if that is none."""
        if not rows:
            return self
        return self.of([row for row in range(len(self)) if row not in rows])

    def of(self, rows: Sequence[int]) -> Requests:
        """The requests of these ``rows``, in this order."""
        columns: dict[str, array[Any]] = {
            column.name: getattr(self, column.name)
            for column in fields(self)
            if column.name != "routes"
        }
        return Requests(
            routes=self.routes,
            **{
                name: array(column.typecode, [column[row] for row in rows] if column else ())
                for name, column in columns.items()
            },
        )

    def count(self, outcome: int) -> int:
        """Number of requests with this outcome, a code."""
        # Bytes are counted by their values, the numbers in an array by comparing objects.
        return self.outcome.tobytes().count(outcome)

    def __len__(self) -> int:
        return len(self.arrival)

    def __getitem__(self, row: int) -> Request:
        return Request(
            self.arrival[row],
            self.accepted[row],
            self.started[row],
            self.finished[row],
            self.worker[row],
            self.thread[row],
            OUTCOMES[self.outcome[row]],
            self.io[row],
            self.cpu[row],
            self.routes[self.route[row]] if self.routes and self.route[row] >= 0 else None,
        )

    def __iter__(self) -> Iterator[Request]:
        return (self[row] for row in range(len(self)))
