"""The judged requests, predicted with demands that are drawn anew each time."""

from __future__ import annotations

import pickle
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from sim.experiment import Experiment, TraceRow
from sim.study.backtest.demand import Demands
from sim.study.backtest.figures import Figures, figures_of
from sim.study.backtest.past import Past
from sim.study.backtest.prediction import predicted_views, with_trace
from sim.study.backtest.served import Served


@dataclass(frozen=True, slots=True)
class Replay:
    """What any process needs to predict the judged requests. Times are in s from the first arrival.

    Attributes:
        base: the server; its traffic is not read.
        arrivals: of all requests, by time.
        routes: their routes.
        begin: from there on requests are judged.
        end: of the judged time.
        has_served: whether there is a log of Gunicorn's to compare with.
        has_passed: whether there is a proxy's.
        workers: whose shares are compared.
    """

    base: Experiment
    arrivals: array[float]
    routes: Sequence[str]
    begin: float
    end: float
    has_served: bool
    has_passed: bool
    workers: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """One prediction of the judged requests.

    Attributes:
        figures: what it comes to.
        lost: requests that were not answered.
    """

    figures: Figures
    lost: int


def replay_of(base: Experiment, past: Past, workers: int) -> Replay:
    """The replay of a past on the server of ``base``."""
    requests = past.arrivals
    first = requests.arrival[0]
    return Replay(
        base,
        array("d", (arrival - first for arrival in requests.arrival)),
        [requests.name(row) for row in range(len(requests))],
        past.begin - first,
        past.end - first,
        past.served is not None,
        past.passed is not None,
        workers,
    )


def replayed(pickled: bytes, replication: int) -> Replayed:
    """Predict a pickled `Replay` with demands of its `Demands`, which ``replication`` draws."""
    replay, demands = _pair(pickled)
    base = replay.base
    drawn = demands.draw(replay.routes, Random(f"{base.seed}/backtest/{replication}"))
    rows = [
        TraceRow(arrival, io, cpu, route)
        for arrival, (io, cpu), route in zip(replay.arrivals, drawn, replay.routes, strict=True)
    ]
    views = predicted_views(with_trace(base, rows), replication)
    first = bisect_left(replay.arrivals, replay.begin)
    # As of the logs: what came to Gunicorn in the judged time, and what came to a thread then.
    passed = [place for place, row in enumerate(views.rows) if row >= first]
    served = [
        place
        for place, began in enumerate(views.served.begins)
        if replay.begin <= began <= replay.end
    ]
    if not replay.has_passed:
        served = passed  # Only that log says when they came.
    figures = figures_of(
        _chosen(views.served, served) if replay.has_served else None,
        _chosen(views.passed, passed) if replay.has_passed else None,
        replay.begin,
        replay.end,
        replay.workers,
    )
    return Replayed(figures, views.lost)


def _chosen(served: Served, places: Sequence[int]) -> Served:
    return Served(
        [served.begins[place] for place in places],
        [served.times[place] for place in places],
        [served.workers[place] for place in places],
        [served.routes[place] for place in places],
    )


@lru_cache(maxsize=2)
def _pair(pickled: bytes) -> tuple[Replay, Demands]:
    pair: tuple[Replay, Demands] = pickle.loads(pickled)  # noqa: S301 - from our own command
    return pair
