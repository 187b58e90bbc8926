"""Demand and its CPU, taken from logs whose truth is known.

Goal: what is taken from a log is what the requests demanded, not what they took; and a log tells
that requests compute. Method: the model runs requests of known demand and logs what they took.
"""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest

from sim.experiment import Experiment, Server, TraceRow
from sim.reading.logged_requests import NO_ROUTE, LoggedRequests
from sim.study.backtest.cpu_part import guessed
from sim.study.backtest.demand import ALL, learnt
from sim.study.backtest.prediction import predicted_views, with_trace

BASE = Experiment(Server(workers=1, threads=4, worker_class="gthread"))

#: Requests / s, one after the other, each for so many s.
CHANGING, STEP = (8.0, 34.0, 15.0, 28.0), 10.0


def requests_of(rates: tuple[float, ...], number: int, cpu_part: float) -> list[TraceRow]:
    random, now = Random(2), 0.0
    rows: list[TraceRow] = []
    while len(rows) < number:
        now += random.expovariate(rates[int(now / STEP) % len(rates)])
        demand = random.uniform(0.03, 0.07)
        rows.append(TraceRow(now, (1 - cpu_part) * demand, cpu_part * demand))
    return rows


def logged(rows: list[TraceRow], *, queueing: bool = False, whole: bool = False) -> LoggedRequests:
    """What Gunicorn or the proxy in front of it logs; ``whole``: by the second."""
    views = predicted_views(with_trace(BASE, rows), 0)
    view, random = views.passed if queueing else views.served, Random(1)
    log = LoggedRequests()
    for begin, took, worker in zip(view.begins, view.times, view.workers, strict=True):
        end = int(begin + took) + random.random() if whole else begin + took
        log.arrival.append(end - took)
        log.duration.append(took)
        log.worker.append(worker)
        log.route.append(NO_ROUTE)
    log.sort()
    return log


def learnt_mean(log: LoggedRequests, cpu_part: float, *, queueing: bool) -> float:
    pool = learnt(BASE, log, cpu_part, queueing=queueing).pools[ALL]
    return fmean(io + cpu for io, cpu in pool)


@pytest.mark.parametrize(("rate", "longer"), [(20.0, 1.2), (36.0, 1.6)])
def test_demand_is_what_requests_demanded(rate: float, longer: float) -> None:
    rows = requests_of((rate,), 800, 0.4)
    true = fmean(row.io_s + row.cpu_s for row in rows)
    log = logged(rows)
    # Four threads share a GIL.
    assert fmean(log.duration) > longer * true
    assert learnt_mean(log, 0.4, queueing=False) == pytest.approx(true, rel=0.03)


def test_the_wait_is_no_demand() -> None:
    rows = requests_of((30.0,), 800, 0.4)
    true = fmean(row.io_s + row.cpu_s for row in rows)
    log = logged(rows, queueing=True)
    assert fmean(log.duration) > 2 * true
    assert learnt_mean(log, 0.4, queueing=True) == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize(("cpu_part", "whole"), [(0.2, False), (0.4, True)])
def test_the_part_that_computes_is_guessed(cpu_part: float, whole: bool) -> None:
    guess = guessed(BASE, logged(requests_of(CHANGING, 1700, cpu_part), whole=whole))
    assert guess is not None
    assert guess.part == pytest.approx(cpu_part, abs=0.08)
    assert guess.growth > 0.02


def test_nothing_is_guessed_where_times_do_not_grow() -> None:
    assert guessed(BASE, logged(requests_of(CHANGING, 1700, 0.0))) is None
    # Nor of a log that is short.
    assert guessed(BASE, logged(requests_of(CHANGING, 300, 0.4))) is None
