"""Which part of a demand computes, guessed from a log: computing requests slow each other down.

A request demands what it demands, whatever runs beside it. If demand is taken from the log with too
small a part that computes, the model adds too little to the requests of a busy time. Then demand
seems to grow with the load. With too large a part it seems to shrink, in between it does neither.

What else makes requests slower under load, such as a database, looks the same: it is a guess, which
a recording replaces.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean

from sim.experiment import Experiment
from sim.reading.logged_requests import LoggedRequests
from sim.study.backtest.demand import demand_of_each
from sim.study.backtest.served import Served, intervals

#: s over which load and demand are averaged: times in whole seconds do not matter then.
INTERVAL = 5.0

#: Fewest intervals that say anything, and most requests that are looked at.
FEWEST, MOST = 12, 10_000

#: Standard errors by which demand must grow with the load.
SURE = 3.0

#: Halvings of the range in which the part is; the guess is within 3 points of what they lead to.
STEPS = 5


@dataclass(frozen=True, slots=True)
class Guess:
    """What the log says of the part that computes.

    Attributes:
        part: of a demand, from 0 to 1.
        growth: how much longer request times are in the busier half of the time than in the other,
            as a part of these, each route by itself.
    """

    part: float
    growth: float


def guessed(base: Experiment, requests: LoggedRequests) -> Guess | None:
    """The part of a log of Gunicorn's own, by arrival.

    Returns:
        None where the log is too short, its load too even, or nothing grows with it.
    """
    requests = requests.part(max(0, len(requests) - MOST), len(requests))
    load = _load(requests)
    if len(load) < FEWEST:
        return None
    slope, error = _slope(requests, array("d", requests.duration), load)
    if slope <= SURE * error:
        return None
    growth = _growth(requests, load)
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        part = (low + high) / 2
        slope, _ = _slope(requests, demand_of_each(base, requests, part, queueing=False), load)
        low, high = (part, high) if slope > 0 else (low, part)
    return Guess((low + high) / 2, growth)


def _load(requests: LoggedRequests) -> list[float]:
    """Requests under way in each interval, the mean over it."""
    first, last = requests.arrival[0], requests.arrival[-1]
    begins = [arrival - first for arrival in requests.arrival]
    view = Served(begins, requests.duration, requests.worker, [""] * len(begins))
    # The last one is not whole.
    return [each.busy for each in intervals(view, 0.0, last - first, INTERVAL)][:-1]


def _relative(requests: LoggedRequests, times: array[float], number: int) -> list[list[float]]:
    """The times in each interval, each as a part of the mean of its route."""
    sums: defaultdict[int, list[float]] = defaultdict(list)
    for route, time in zip(requests.route, times, strict=True):
        sums[route].append(time)
    means = {route: fmean(each) or 1.0 for route, each in sums.items()}
    parts: list[list[float]] = [[] for _ in range(number)]
    for arrival, route, time in zip(requests.arrival, requests.route, times, strict=True):
        place = int((arrival - requests.arrival[0]) / INTERVAL)
        if place < number:
            parts[place].append(time / means[route])
    return parts


def _slope(requests: LoggedRequests, times: array[float], load: list[float]) -> tuple[float, float]:
    """How relative times grow with the load of their interval, and the standard error of that."""
    points = [
        (busy, value)
        for busy, values in zip(load, _relative(requests, times, len(load)), strict=True)
        for value in values
    ]
    middle = fmean(busy for busy, _ in points)
    mean = fmean(value for _, value in points)
    spread = math.fsum((busy - middle) ** 2 for busy, _ in points)
    if spread <= 0:
        return 0.0, math.inf
    slope = math.fsum((busy - middle) * (value - mean) for busy, value in points) / spread
    rest = math.fsum((value - mean - slope * (busy - middle)) ** 2 for busy, value in points)
    return slope, math.sqrt(rest / max(1, len(points) - 2) / spread)


def _growth(requests: LoggedRequests, load: list[float]) -> float:
    parts = _relative(requests, requests.duration, len(load))
    ordered = sorted((busy, place) for place, busy in enumerate(load) if parts[place])
    half = len(ordered) // 2
    quiet, busy = (
        fmean(value for _, place in some for value in parts[place])
        for some in (ordered[:half], ordered[half:])
    )
    return busy / quiet - 1
