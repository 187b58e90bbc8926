"""Requests as one log sees them, predicted or logged: Gunicorn's own, or the proxy's in front."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sim.analysis.quantile import quantile

#: The quantiles that are compared.
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

#: Shortest and longest interval of the comparison by time, s, and what lies between.
INTERVALS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 86_400)

#: Most rows of the comparison by time.
MOST_INTERVALS = 12


@dataclass(frozen=True, slots=True)
class Served:
    """The requests of one log; columns of one length, times in s.

    Attributes:
        begins: when each began for that log: came to a thread, or was passed on.
        times: how long it took from there.
        workers: that served it; 0 where it is not known.
        routes: the name of its route; empty for none.
    """

    begins: Sequence[float]
    times: Sequence[float]
    workers: Sequence[int]
    routes: Sequence[str]


class Interval(NamedTuple):
    """The requests that began in one stretch of time; times in s.

    Attributes:
        requests: how many.
        mean: of their times; None without any.
        p95: of their times; None without any.
        busy: requests that were under way, the mean over the stretch.
    """

    requests: int
    mean: float | None
    p95: float | None
    busy: float


class OfRoute(NamedTuple):
    """The requests of one route; times in s."""

    requests: int
    mean: float
    p95: float


def length(span: float) -> float:
    """The length of the intervals into which a ``span`` is cut, s."""
    for seconds in INTERVALS:
        if span <= seconds * MOST_INTERVALS:
            return float(seconds)
    return math.ceil(span / MOST_INTERVALS / INTERVALS[-1]) * float(INTERVALS[-1])


def times_of(served: Served) -> dict[str, float | None]:
    """The mean and the quantiles of the times; None without requests."""
    ordered = sorted(served.times)
    if not ordered:
        return dict.fromkeys(("mean", *QUANTILES))
    return {
        "mean": math.fsum(ordered) / len(ordered),
        **{name: quantile(ordered, place) for name, place in QUANTILES.items()},
    }


def busy(served: Served, begin: float, end: float) -> float:
    """Requests under way from ``begin`` to ``end``, the mean over that time."""
    if end <= begin:
        return 0.0
    return math.fsum(
        max(0.0, min(start + took, end) - max(start, begin))
        for start, took in zip(served.begins, served.times, strict=True)
    ) / (end - begin)


def throughput(served: Served, begin: float, end: float) -> float | None:
    """Responses / s from ``begin`` to ``end``."""
    if end <= begin:
        return None
    ends = (start + took for start, took in zip(served.begins, served.times, strict=True))
    return sum(begin <= each <= end for each in ends) / (end - begin)


def shares(served: Served) -> list[float]:
    """The part of the requests that each worker served, the busiest first."""
    counts = Counter(served.workers)
    del counts[0]
    total = counts.total()
    return [count / total for _, count in counts.most_common()]


def intervals(served: Served, begin: float, end: float, seconds: float) -> list[Interval]:
    """Cut the time from ``begin`` to ``end`` into stretches of so many ``seconds``."""
    number = max(1, math.ceil((end - begin) / seconds))
    times: list[list[float]] = [[] for _ in range(number)]
    load = array("d", [0.0]) * number
    for start, took in zip(served.begins, served.times, strict=True):
        place = min(number - 1, max(0, int((start - begin) / seconds)))
        times[place].append(took)
        stop = start + took
        for each in range(place, number):
            low = begin + each * seconds
            if stop <= low:
                break
            high = min(low + seconds, end)
            load[each] += max(0.0, min(stop, high) - max(start, low))
    return [
        _interval(each, load[place], min(seconds, end - begin - place * seconds))
        for place, each in enumerate(times)
    ]


def _interval(times: list[float], load: float, span: float) -> Interval:
    """One stretch of ``span`` s, for whose ``load`` s requests were under way."""
    times.sort()
    busy_ = load / span if span > 0 else 0.0
    if not times:
        return Interval(0, None, None, busy_)
    return Interval(len(times), math.fsum(times) / len(times), quantile(times, 0.95), busy_)


def by_route(served: Served) -> dict[str, OfRoute]:
    """The times of each route that has a name."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for route, took in zip(served.routes, served.times, strict=True):
        if route:
            times[route].append(took)
    return {
        route: OfRoute(len(each), math.fsum(each) / len(each), quantile(sorted(each), 0.95))
        for route, each in times.items()
    }
