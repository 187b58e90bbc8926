"""What requests demand, taken from a log: request times less what the model adds to them.

A logged request time holds the application's work, and beside it what the model predicts by
itself: Gunicorn's own steps, the GIL, the cores; in a proxy's log the wait too. Predicted with the
whole time as demand, all of that would count twice. So the model predicts the very requests of the
log, and what it adds to each is taken from its time, until what it predicts is what was logged.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from sim.experiment import Experiment, TraceRow
from sim.reading.logged_requests import LoggedRequests
from sim.study.backtest.prediction import Views, predicted_views, with_trace

#: Predictions after which the demand is taken as it is. One does where nothing computes: what the
#: model adds does not depend on the demand then.
PASSES = {"waits": 1, "computes": 3, "queues": 6}

#: Part of what a pass finds that is taken over: requests that share a queue move each other.
DAMPING = 0.6

#: Fewest requests of a route that have a demand of their own; rarer ones get that of all requests.
FEWEST = 5

#: Name of all requests.
ALL = ""

#: s that a request waits, and computes.
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Demands:
    """What requests demanded, to draw from: pairs of s that they wait and compute.

    Attributes:
        pools: by route; `ALL` has those of all.
    """

    pools: Mapping[str, Sequence[Pair]]

    def draw(self, routes: Iterable[str], random: Random) -> list[Pair]:
        """A demand for each request of these ``routes``.

        The pools are drawn anew as well (the bootstrap), for they are a sample themselves: runs
        differ by the chance of both halves.
        """
        pools = {
            route: random.choices(pool, k=len(pool)) for route, pool in sorted(self.pools.items())
        }
        everything, choice = pools[ALL], random.choice
        return [choice(pools.get(route, everything)) for route in routes]

    def unknown(self, routes: Iterable[str]) -> int:
        """How many of these requests have a route without a demand of its own."""
        return sum(route not in self.pools for route in routes)


def pooled(pairs: Iterable[tuple[str, Pair]]) -> Demands:
    """The demands of requests with their routes; at least one request."""
    pools: defaultdict[str, list[Pair]] = defaultdict(list)
    for route, pair in pairs:
        pools[ALL].append(pair)
        if route != ALL:
            pools[route].append(pair)
    return Demands(
        {route: pool for route, pool in pools.items() if route == ALL or len(pool) >= FEWEST}
    )


def recorded(rows: Iterable[TraceRow]) -> Demands:
    """The demands of a recording, or of any other trace."""
    return pooled((row.route, (row.io_s, row.cpu_s)) for row in rows)


def learnt(
    base: Experiment, requests: LoggedRequests, cpu_part: float, *, queueing: bool
) -> Demands:
    """The demands of logged requests; arguments as of `demand_of_each`."""
    demand = demand_of_each(base, requests, cpu_part, queueing=queueing)
    names = (requests.name(row) for row in range(len(requests)))
    pairs = (((1 - cpu_part) * each, cpu_part * each) for each in demand)
    return pooled(zip(names, pairs, strict=True))


def demand_of_each(
    base: Experiment, requests: LoggedRequests, cpu_part: float, *, queueing: bool
) -> array[float]:
    """What each logged request waited and computed, s.

    Args:
        base: the server; its traffic is not read.
        requests: by arrival, at least one.
        cpu_part: part of a demand that computes, from 0 to 1.
        queueing: whether the logged times include the wait.
    """
    demand = array("d", requests.duration)
    passes = PASSES["queues" if queueing else "computes" if cpu_part else "waits"]
    damping = 1.0 if passes == 1 else DAMPING
    first = requests.arrival[0]
    for _ in range(passes):
        rows = [
            TraceRow(arrival - first, (1 - cpu_part) * each, cpu_part * each)
            for arrival, each in zip(requests.arrival, demand, strict=True)
        ]
        views = predicted_views(with_trace(base, rows), 0)
        for row, predicted in enumerate(_times(views, len(rows), queueing=queueing)):
            if predicted is not None:
                target = max(0.0, requests.duration[row] - (predicted - demand[row]))
                demand[row] += damping * (target - demand[row])
    return demand


def _times(views: Views, number: int, *, queueing: bool) -> list[float | None]:
    """The predicted time of each request; None where it was lost."""
    view = views.passed if queueing else views.served
    times: list[float | None] = [None] * number
    for row, took in zip(views.rows, view.times, strict=True):
        times[row] = took
    return times
