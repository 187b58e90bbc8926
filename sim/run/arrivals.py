"""The arrivals and demands of an experiment, drawn from seeded streams.

Both interpreters call this, so a prediction and a measurement see the same requests (common
random numbers) and chance cancels in their difference.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate, islice, takewhile
from random import Random
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.experiment.distribution import Distribution
from sim.run.column import filled, floats, zeros
from sim.run.requests import NO_ROUTE, Requests
from sim.run.rows import Rows
from sim.run.tally import Tally

if TYPE_CHECKING:
    from librt.vecs import vec
    from mypy_extensions import i64

#: s between the last worker's readiness and the start of a predicted run; the rig takes 0.4 to 0.5.
LEAD = 0.25

#: Answers that users of a closed loop may get at one moment where their traffic lasts for a time,
#: and how many more for each user.
AT_ONCE, EACH_AT_ONCE = 10_000, 10

#: Requests that a run without rows counts at once: from some hundreds on, more are no faster.
BLOCK: Final = 512

#: The row of no request.
NONE: Final = -1


class Source(ABC):
    """What sends requests: both interpreters drive one, each with its own clock.

    Attributes:
        rows: every request so far; the interpreter fills in what became of it.
        closed_loop: whether answers bring new requests.
    """

    __slots__ = ("closed_loop", "rows")

    def __init__(self, rows: Rows, *, closed_loop: bool) -> None:
        self.rows = rows
        self.closed_loop = closed_loop

    @abstractmethod
    def following(self) -> int:
        """The row of the next request, in the order of arrival; `NONE` after the last.

        Only of an open loop, and instead of `due` and `take`.
        """

    @abstractmethod
    def due(self) -> float:
        """When the next request is to be sent, s since the start; infinity: none for now."""

    @abstractmethod
    def take(self) -> tuple[int, int]:
        """The row of that request, and whose connections it may reuse."""

    def answered(self, client: int, now: float) -> None:  # noqa: B027 - an open loop does not care
        """Tell the source at ``now`` that ``client`` knows the outcome of its request."""

    def forget(self, row: int) -> None:  # noqa: B027 - most keep their rows
        """Tell the source that the outcome of a row is known, which may be lost then."""


class OpenLoop(Source):
    """Requests come when they come, whether the server keeps up or not."""

    __slots__ = ("_next", "_number")

    def __init__(self, experiment: Experiment, replication: int) -> None:
        super().__init__(_scheduled(experiment, replication), closed_loop=False)
        # Rows may come behind these that are none of the clients': a kubelet's probes.
        self._number = len(self.rows)
        self._next = 0

    def following(self) -> int:
        """See `Source`."""
        row = self._next
        if row >= self._number:
            return NONE
        self._next = row + 1
        return row

    def due(self) -> float:
        """See `Source`."""
        return self.rows.arrival[self._next] if self._next < self._number else math.inf

    def take(self) -> tuple[int, int]:
        """See `Source`; all requests share one pool of connections."""
        return self.following(), 0


class ClosedLoop(Source):
    """Users who each send, wait for the answer, think, and send again."""

    __slots__ = ("_at_once", "_due", "_duration", "_limit", "_moment", "_sent", "_users")

    def __init__(self, experiment: Experiment, replication: int) -> None:
        traffic = experiment.traffic
        super().__init__(_no_rows(traffic.route_names), closed_loop=True)
        self._limit = traffic.requests
        self._sent = 0
        # Where a number of requests is asked for, they may take as long as they take.
        self._duration = traffic.duration if traffic.requests is None else math.inf
        self._users = [_user(experiment, replication, user) for user in range(traffic.users)]
        self._due = [(0.0, user) for user in range(traffic.users)]
        self._moment = -math.inf
        self._at_once = 0

    def following(self) -> int:
        """See `Source`; nobody knows."""
        raise AssertionError("the requests of a closed loop come when answers do")

    def due(self) -> float:
        """See `Source`."""
        if self._limit == self._sent or not self._due:
            return math.inf
        return self._due[0][0]

    def take(self) -> tuple[int, int]:
        """See `Source`; every user has connections of its own."""
        time, user = heappop(self._due)
        self._sent += 1
        demands = self._users[user]
        if demands.route is None:
            return self.rows.append(time, next(demands.io), next(demands.cpu)), user
        io, cpu, route = next(demands.route)
        return self.rows.append(time, io, cpu, route), user

    def answered(self, client: int, now: float) -> None:
        """See `Source`."""
        time = now + next(self._users[client].think)
        if time < self._duration:
            if self._limit is None:
                self._refuse_endless(now)
            heappush(self._due, (time, client))

    def _refuse_endless(self, now: float) -> None:
        """Refuse traffic for a time of which nothing passes."""
        if now > self._moment:
            self._moment = now
            self._at_once = 0
        self._at_once += 1
        most = AT_ONCE + EACH_AT_ONCE * len(self._users)
        if self._at_once > most:
            raise ExperimentError(
                f"users have sent {most:,} requests at {now:g} s and would go on for ever: neither "
                "an answer nor their think time takes any time; expected a think time, or a number "
                "of requests"
            )


class PassingLoop(Source):
    """The same as `OpenLoop`, in rows that are used again once they have been counted.

    Attributes:
        tally: what is left of the requests; the last of them are in it after `close`.
    """

    __slots__ = (
        "_ahead",
        "_arrivals",
        "_block",
        "_cpu",
        "_ended",
        "_free",
        "_io",
        "_place",
        "_streams",
        "_traffic",
        "tally",
    )

    def __init__(self, experiment: Experiment, replication: int) -> None:
        super().__init__(_no_rows(()), closed_loop=False)
        self.tally = Tally(experiment.server.concurrency)
        self._traffic = experiment.traffic
        self._arrivals = _arrivals(experiment, stream(experiment, replication, "arrivals"))
        self._streams = tuple(stream(experiment, replication, name) for name in ("io", "cpu"))
        # The block that is being sent, and how many of it have been.
        self._block: vec[float] = zeros(0)
        self._io: vec[float] = zeros(0)
        self._cpu: vec[float] = zeros(0)
        self._place = 0
        self._ahead = NONE
        self._free: list[int] = []
        self._ended: list[int] = []

    def following(self) -> int:
        """See `Source`."""
        if self._place == len(self._block) and not self._draw_block():
            return NONE
        place = self._place
        self._place = place + 1
        arrival, io, cpu = self._block[place], self._io[place], self._cpu[place]
        if not self._free:
            return self.rows.append(arrival, io, cpu)
        row = self._free.pop()
        self.rows.renew(row, arrival, io, cpu)
        return row

    def _draw_block(self) -> bool:
        """Draw the next requests; whether there are any."""
        arrivals = array("d", islice(self._arrivals, BLOCK))
        if not arrivals:
            return False
        io, cpu = self._streams
        self._block = floats(arrivals)
        self._io = _drawn(self._traffic.io, len(arrivals), io)
        self._cpu = _drawn(self._traffic.cpu, len(arrivals), cpu)
        self._place = 0
        self.tally.came(self._block, self._io, self._cpu)
        return True

    def due(self) -> float:
        """See `Source`."""
        if self._ahead == NONE:
            self._ahead = self.following()
        return math.inf if self._ahead == NONE else self.rows.arrival[self._ahead]

    def take(self) -> tuple[int, int]:
        """See `Source`; all requests share one pool of connections."""
        assert self._ahead != NONE, "it was asked when the request is due"
        row, self._ahead = self._ahead, NONE
        return row, 0

    def forget(self, row: int) -> None:
        """See `Source`."""
        self._ended.append(row)
        if len(self._ended) == BLOCK:
            self._count_ended()

    def _count_ended(self) -> None:
        if self._ended:
            self.tally.ended(self.rows, self._ended)
            self._free += self._ended
            self._ended.clear()

    def close(self) -> None:
        """The run is over: what has no outcome now never will."""
        self._count_ended()
        pending = set(range(len(self.rows))).difference(self._free)
        self.tally.close(self.rows, sorted(pending))


def passes(experiment: Experiment) -> bool:
    """Whether `PassingLoop` can send the experiment's requests.

    It cannot where

    - requests come from responses (a closed loop) or a trace;
    - the server reads a row of which the client knows the outcome already (a timeout);
    - a row's number says what becomes of it (retries, slow clients);
    - a proxy answers before the server does;
    - the summary reads rows again (disturbances, routes);
    - rows that are no client's stand between them (probes).
    """
    traffic = experiment.traffic
    return (
        traffic.arrivals in ("poisson", "constant")
        and not traffic.routes
        and traffic.timeout is None
        and not traffic.retries
        and traffic.first_byte.mean == traffic.body.mean == traffic.read.mean == 0
        and not experiment.disturbances
        and not experiment.proxy.present
        and not experiment.probes
    )


def source(experiment: Experiment, replication: int) -> Source:
    """The experiment's source of requests, at its beginning."""
    if experiment.traffic.arrivals == "closed":
        return ClosedLoop(experiment, replication)
    return OpenLoop(experiment, replication)


def stream(experiment: Experiment, replication: int, purpose: str) -> Random:
    """The random stream of one source of randomness in one replication.

    A stream of its own for each purpose keeps one source's draws the same when another source
    draws more or fewer. `random.Random` seeds from all of a string, the same on every platform.
    """
    return Random(f"{experiment.seed}/{replication}/{purpose}")


#: What a slow client takes its time for: fields of `sim.experiment.Traffic`.
Slow = Literal["first_byte", "body", "read"]


def slowness(experiment: Experiment, replication: int, of: Slow) -> Callable[[int], float] | None:
    """How long the client of a row takes for its part ``of`` the exchange, s; None: no time at all.

    Every row has a stream of its own, for clients connect in an order that the server decides.
    """
    distribution: Distribution = getattr(experiment.traffic, of)
    if distribution.mean == 0:
        return None
    return lambda row: distribution.sampler(stream(experiment, replication, f"{of} {row}"))()


def schedule(experiment: Experiment, replication: int) -> Requests:
    """All requests of one replication of an open loop: arrivals in order, and demands."""
    return _scheduled(experiment, replication).requests()


def _no_rows(routes: tuple[str, ...]) -> Rows:
    return Rows(zeros(0), zeros(0), zeros(0), routes)


def _scheduled(experiment: Experiment, replication: int) -> Rows:
    """The rows of `schedule`."""
    traffic = experiment.traffic
    if traffic.arrivals == "trace":
        names = traffic.route_names
        codes = {name: place for place, name in enumerate(names)}
        return Rows(
            floats(array("d", (row.arrival_s for row in traffic.trace))),
            floats(array("d", (row.io_s for row in traffic.trace))),
            floats(array("d", (row.cpu_s for row in traffic.trace))),
            names,
            array("h", (codes.get(row.route, NO_ROUTE) for row in traffic.trace if names)),
        )
    arrival = array("d", _arrivals(experiment, stream(experiment, replication, "arrivals")))
    if traffic.routes:
        return _routed(experiment, replication, arrival)
    n = len(arrival)
    return Rows(
        floats(arrival),
        _drawn(traffic.io, n, stream(experiment, replication, "io")),
        _drawn(traffic.cpu, n, stream(experiment, replication, "cpu")),
    )


def _routed(experiment: Experiment, replication: int, arrival: array[float]) -> Rows:
    """The requests of all routes that this server gets.

    Each route's demands have streams of their own: the n-th request of a route demands the same
    whatever the others demand, and wherever they go.
    """
    names = experiment.traffic.route_names
    times, ios, cpus, routes = array("d"), array("d"), array("d"), array("h")
    each = _mix(experiment, replication, "")
    for time, (io, cpu, route) in zip(arrival, each, strict=False):
        if route != NO_ROUTE:
            times.append(time)
            ios.append(io)
            cpus.append(cpu)
            routes.append(route)
    return Rows(floats(times), floats(ios), floats(cpus), names, routes)


def _mix(
    experiment: Experiment, replication: int, whose: str
) -> Iterator[tuple[float, float, int]]:
    """Demands (s) and route of endless requests; the route is `NO_ROUTE` where it is elsewhere.

    The route of a request is where a uniform number lies among the shares, in their order.
    """
    traffic = experiment.traffic
    codes = {name: place for place, name in enumerate(traffic.route_names)}
    bounds = [*accumulate(route.share for route in traffic.routes)]
    draws = [
        (
            route.io.sampler(stream(experiment, replication, f"{whose}route {route.name} io")),
            route.cpu.sampler(stream(experiment, replication, f"{whose}route {route.name} cpu")),
            codes.get(route.name, NO_ROUTE),
        )
        for route in traffic.routes
    ]
    draw, last = stream(experiment, replication, f"{whose}route").random, len(draws) - 1
    while True:
        io, cpu, code = draws[min(bisect_right(bounds, draw()), last)]
        yield io(), cpu(), code


def _drawn(distribution: Distribution, number: int, random: Random) -> vec[float]:
    """So many demands, s: what `Distribution.sampler` draws."""
    if distribution.kind == "const":
        return filled(distribution.mean, number)
    drawn = zeros(number)
    place: i64 = 0
    if distribution.kind == "exp" and distribution.mean > 0:
        # Most demands are: a loop without the call of a sampler.
        uniform, rate = random.random, 1 / distribution.mean
        while place < number:
            drawn[place] = -math.log(1.0 - uniform()) / rate
            place += 1
        return drawn
    draw = distribution.sampler(random)
    while place < number:
        drawn[place] = draw()
        place += 1
    return drawn


def _arrivals(experiment: Experiment, random: Random) -> Iterator[float]:
    """Times of the arrivals, until ``requests`` have come or ``duration`` is over."""
    traffic = experiment.traffic
    if traffic.arrivals == "constant":
        times = _constant(experiment.rates)
    else:
        times = _poisson(experiment.rates, random)
    if traffic.requests is not None:
        return islice(times, traffic.requests)
    return takewhile(lambda time: time < traffic.duration, times)


def _pieces(rates: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float, float]]:
    """Where each rate begins, the rate, and where it ends; the last never does."""
    for place, (since, rate) in enumerate(rates, start=1):
        yield since, rate, rates[place][0] if place < len(rates) else math.inf


def _constant(rates: Sequence[tuple[float, float]]) -> Iterator[float]:
    """Request ``n`` comes when the integral of the rate is ``n``: a change keeps the phase."""
    number, integral = 0, 0.0
    for since, rate, until in _pieces(rates):
        if not rate:
            continue  # Not multiplied: the last piece is endless.
        at_end = integral + rate * (until - since)
        # Multiplied, not added up: no rounding error grows over the run.
        while number < at_end:
            yield since + (number - integral) / rate
            number += 1
        integral = at_end


def _poisson(rates: Sequence[tuple[float, float]], random: Random) -> Iterator[float]:
    """Between two requests, the integral of the rate grows by an exponential of mean 1.

    Those are the draws, so that a later change of the rate leaves the arrivals before it alone.
    """
    # `Random.expovariate(1.0)`, without the way there.
    draw = random.random
    integral = -math.log(1.0 - draw())
    for since, rate, until in _pieces(rates):
        if not rate:
            continue
        now = since
        while (then := now + integral / rate) < until:
            now = then
            yield now
            integral = -math.log(1.0 - draw())
        integral = max(0.0, integral - (until - now) * rate)


class _Demands(NamedTuple):
    """Endless think times and demands of one user of a closed loop, s.

    With routes, ``route`` has the demands, and which route it is; see `_mix`.
    """

    think: Iterator[float]
    io: Iterator[float]
    cpu: Iterator[float]
    route: Iterator[tuple[float, float, int]] | None


def _user(experiment: Experiment, replication: int, user: int) -> _Demands:
    """What one user will do: streams of its own, so that it does not depend on the others."""

    def endless(name: str, distribution: Distribution) -> Iterator[float]:
        # Not a generator expression: mypyc makes a list of one.
        sample = distribution.sampler(stream(experiment, replication, f"user {user} {name}"))
        while True:
            yield sample()

    traffic = experiment.traffic
    return _Demands(
        endless("think", traffic.think),
        endless("io", traffic.io),
        endless("cpu", traffic.cpu),
        _mix(experiment, replication, f"user {user} ") if traffic.routes else None,
    )
