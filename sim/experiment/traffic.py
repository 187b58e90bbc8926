"""The requests that clients send."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from sim.errors import ExperimentError
from sim.experiment.checks import check_choice, check_number, check_part, check_whole
from sim.experiment.distribution import Distribution
from sim.experiment.endpoint import ENDPOINTS, Endpoint
from sim.experiment.route import MAX_ROUTES, Route, check_name, check_routes

Arrivals = Literal["poisson", "constant", "closed", "trace"]


Connection = Literal["new", "keepalive"]


ARRIVALS: tuple[Arrivals, ...] = ("poisson", "constant", "closed", "trace")


CONNECTIONS: tuple[Connection, ...] = ("new", "keepalive")


MAX_REQUESTS = 20_000_000


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request of a trace: when it comes and what it demands.

    Attributes:
        arrival_s: s since the start of the run.
        io_s: s that the request waits, without the GIL.
        cpu_s: s that it computes, holding the GIL.
        route: the name of its route; empty for none.
    """

    arrival_s: float
    io_s: float
    cpu_s: float
    route: str = ""


def _refuse(row: TraceRow, row_number: int, before: float) -> NoReturn:
    """Say what is wrong with a row of a trace; ``before`` is the arrival of the one above."""
    check_number(f"trace row {row_number}: arrival_s", row.arrival_s, 0)
    check_number(f"trace row {row_number}: io_s", row.io_s, 0)
    check_number(f"trace row {row_number}: cpu_s", row.cpu_s, 0)
    raise ExperimentError(
        f"trace row {row_number}: arrival_s is {row.arrival_s:g}, before the row above "
        f"({before:g}); expected arrivals in order"
    )


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests that clients send.

    Attributes:
        arrivals: ``poisson`` and ``constant`` are open loops at ``rate``; ``trace`` replays
            ``trace``; in ``closed``, each of ``users`` sends, waits for the answer, thinks, and
            sends again.
        rate: requests / s (open loops).
        duration: s during which requests arrive; not used where ``requests`` is given.
        requests: number of requests, or None.
        users: clients of the closed loop.
        think: s between an answer and the user's next request.
        connection: ``new`` opens one for each request, ``keepalive`` reuses idle ones.
        io: s that a request waits, without the GIL.
        cpu: s that a request computes, holding the GIL.
        routes: kinds of request, each with its own demand instead of ``io`` and ``cpu``, which keep
            their defaults then; not of a trace, whose rows name their routes.
        trace: the requests of ``arrivals="trace"``, in order of arrival.
        drain: s that the run goes on after its last arrival, at most; a request without an
            answer by then is ``unfinished``.
        timeout: s that a client waits for an attempt's answer before it closes the connection;
            None is for ever. The server does not notice, and does the work all the same.
        retries: how often a client tries again, on a new connection, when an attempt was
            ``refused``, ``reset`` or ``timeout``. An answer, 5xx too, is final.
        retry_delay: s between the end of an attempt and the next.
        first_byte: s that a slow client takes, once it is connected, until it sends its request;
            neither this nor the next two together with ``timeout``.
        body: s from there until it has sent the body of its request.
        reads_body: whether the application reads that body, before its I/O and computing.
        read: s that it takes to read the response, which fits into the socket's buffers, before it
            closes the connection or uses it again.
        endpoint: how the code of an ASGI application is declared, see `sim.experiment.endpoint`;
            worker classes that run WSGI applications do not read it.
        blocking_io: part of ``io``, from 0 to 1, that a request waits in code which does not return
            to the event loop: a driver that gevent has not patched, `time.sleep` in an
            ``async def``. All that the worker holds waits with it. It comes last. Only event loops
            read it.
    """

    arrivals: Arrivals = "poisson"
    rate: float = 56.0
    duration: float = 30.0
    requests: int | None = None
    users: int = 10
    think: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    connection: Connection = "new"
    io: Distribution = field(default_factory=lambda: Distribution("exp", (0.05,)))
    cpu: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    routes: tuple[Route, ...] = ()
    trace: tuple[TraceRow, ...] = ()
    drain: float = 60.0
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    first_byte: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    body: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    reads_body: bool = True
    read: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    endpoint: Endpoint = "async"
    blocking_io: float = 0.0

    def __post_init__(self) -> None:
        check_choice("arrivals", self.arrivals, ARRIVALS)
        check_choice("connection", self.connection, CONNECTIONS)
        check_choice("endpoint", self.endpoint, ENDPOINTS)
        check_part("blocking_io", self.blocking_io)
        check_number("rate", self.rate, 0, above=True)
        check_number("duration", self.duration, 0, above=True)
        check_number("drain", self.drain, 0)
        if self.timeout is not None:
            # Not only "timeout", which is Gunicorn's too.
            check_number("traffic timeout", self.timeout, 0, above=True)
        check_whole("retries", self.retries, 0, 1000)
        check_number("retry_delay", self.retry_delay, 0)
        for name in ("first_byte", "body", "read"):
            if self.timeout is not None and getattr(self, name).mean > 0:
                raise ExperimentError(
                    f"traffic has both timeout and {name}; expected one of them: what the server "
                    "does when a client closes the connection in the middle is not modelled"
                )
        check_whole("users", self.users, 1, 1_000_000)
        if self.requests is not None:
            check_whole("requests", self.requests, 1, MAX_REQUESTS)
        elif self.arrivals in ("poisson", "constant") and self.rate * self.duration > MAX_REQUESTS:
            raise ExperimentError(
                f"rate {self.rate:g} for duration {self.duration:g} is "
                f"{self.rate * self.duration:g} requests; expected at most {MAX_REQUESTS}"
            )
        if self.arrivals == "trace" and not self.trace:
            raise ExperimentError("the trace is empty; expected at least one request")
        if self.trace and self.arrivals != "trace":
            raise ExperimentError(f"arrivals is {self.arrivals!r} beside a trace; expected 'trace'")
        self._check_routes()
        before = 0.0
        for row_number, row in enumerate(self.trace, start=1):
            inf = math.inf
            if not (before <= row.arrival_s < inf and 0 <= row.io_s < inf and 0 <= row.cpu_s < inf):
                _refuse(row, row_number, before)
            before = row.arrival_s

    def _check_routes(self) -> None:
        names = {row.route for row in self.trace}.difference(("",))
        for name in names:
            check_name(name)
        if len(names) > MAX_ROUTES:
            raise ExperimentError(
                f"the trace has {len(names)} routes; expected at most {MAX_ROUTES}"
            )
        if not self.routes:
            return
        check_routes(self.routes)
        if self.arrivals == "trace":
            raise ExperimentError(
                "traffic has both a trace and routes; expected a route in each row of the trace"
            )
        for name in ("io", "cpu"):
            if getattr(self, name) != getattr(_DEFAULTS, name):
                raise ExperimentError(
                    f"traffic has both routes and {name}; expected {name} in each route"
                )
        if self.arrivals == "closed" and any(route.elsewhere for route in self.routes):
            raise ExperimentError(
                "a route is elsewhere, but arrivals is 'closed', whose users wait for every "
                "answer; expected an open loop"
            )

    @property
    def route_names(self) -> tuple[str, ...]:
        """The routes that requests of this server may have, in order; empty without routes."""
        if self.routes:
            return tuple(route.name for route in self.routes if not route.elsewhere)
        return tuple(dict.fromkeys(row.route for row in self.trace if row.route))

    @property
    def kinds(self) -> tuple[tuple[Endpoint, float], ...]:
        """``endpoint`` and ``blocking_io`` of the requests of each of `route_names`, in that order.

        Last those of requests without a route.
        """
        own = (self.endpoint, self.blocking_io)
        routes = {route.name: route for route in self.routes}
        return (
            *(
                own
                if name not in routes
                else (
                    routes[name].endpoint or self.endpoint,
                    _first(routes[name].blocking_io, self.blocking_io),
                )
                for name in self.route_names
            ),
            own,
        )

    @property
    def mean_io(self) -> float:
        """Mean s that a request waits, over all that are drawn; those elsewhere wait 0 s here."""
        return self._mean("io")

    @property
    def mean_cpu(self) -> float:
        """Mean s that a request computes, over all that are drawn; 0 s where it is elsewhere."""
        return self._mean("cpu")

    def _mean(self, demand: Literal["io", "cpu"]) -> float:
        if not self.routes:
            return float(getattr(self, demand).mean)
        return math.fsum(
            route.share * float(getattr(route, demand).mean)
            for route in self.routes
            if not route.elsewhere
        )


def _first(value: float | None, default: float) -> float:
    return default if value is None else value


#: Demands of a traffic with routes, which says nothing of its own.
_DEFAULTS = Traffic()
