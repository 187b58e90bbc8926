"""Request rows while they are filled in: by the model, or by what drives real clients.

`sim.run.Requests` is what becomes of them, for everything that reads a run.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from sim.run.column import (
    code_appended,
    code_array,
    filled,
    filled_codes,
    float_appended,
    float_array,
    integer_appended,
    integer_array,
    zero_integers,
)
from sim.run.requests import NAN, NO_ROUTE, UNFINISHED, Requests

if TYPE_CHECKING:
    from librt.vecs import vec
    from mypy_extensions import i32, u8


class Rows:
    """The columns of `Requests`, under the same names; see `sim.run.column` for what they are."""

    __slots__ = (
        "accepted",
        "arrival",
        "cpu",
        "finished",
        "io",
        "outcome",
        "route",
        "routes",
        "started",
        "thread",
        "worker",
    )

    def __init__(
        self,
        arrival: vec[float],
        io: vec[float],
        cpu: vec[float],
        routes: tuple[str, ...] = (),
        route: array[int] | None = None,
    ) -> None:
        """Rows of requests of which only arrival and demand are known; keeps the columns."""
        number: int = len(arrival)
        self.arrival: vec[float] = arrival
        self.accepted: vec[float] = filled(NAN, number)
        self.started: vec[float] = filled(NAN, number)
        self.finished: vec[float] = filled(NAN, number)
        self.worker: vec[i32] = zero_integers(number)
        self.thread: vec[i32] = zero_integers(number)
        self.outcome: vec[u8] = filled_codes(UNFINISHED, number)
        self.io: vec[float] = io
        self.cpu: vec[float] = cpu
        self.routes = routes
        self.route = array("h") if route is None else route

    def __len__(self) -> int:
        return len(self.arrival)

    def append(self, arrival: float, io: float, cpu: float, route: int = NO_ROUTE) -> int:
        """Add a request of which only the arrival is known, and return its row number."""
        if self.routes:
            self.route.append(route)
        row = len(self.arrival)
        self.arrival = float_appended(self.arrival, arrival)
        self.accepted = float_appended(self.accepted, NAN)
        self.started = float_appended(self.started, NAN)
        self.finished = float_appended(self.finished, NAN)
        self.worker = integer_appended(self.worker, 0)
        self.thread = integer_appended(self.thread, 0)
        self.outcome = code_appended(self.outcome, UNFINISHED)
        self.io = float_appended(self.io, io)
        self.cpu = float_appended(self.cpu, cpu)
        return row

    def renew(self, row: int, arrival: float, io: float, cpu: float) -> None:
        """Put a request of which only the arrival is known in the place of another."""
        self.arrival[row] = arrival
        self.accepted[row] = NAN
        self.started[row] = NAN
        self.finished[row] = NAN
        self.worker[row] = 0
        self.thread[row] = 0
        self.outcome[row] = UNFINISHED
        self.io[row] = io
        self.cpu[row] = cpu

    def requests(self) -> Requests:
        """What is in the rows now, for everything that reads a run."""
        return Requests(
            float_array(self.arrival),
            float_array(self.accepted),
            float_array(self.started),
            float_array(self.finished),
            integer_array(self.worker),
            integer_array(self.thread),
            code_array(self.outcome),
            float_array(self.io),
            float_array(self.cpu),
            self.routes,
            self.route,
        )
