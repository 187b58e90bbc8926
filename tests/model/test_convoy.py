"""What a thread that computes does to the others of its worker, and to which worker accepts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from statistics import mean

import pytest

from sim.experiment import Connection, Experiment, Server, TraceRow, Traffic
from sim.experiment.costs import Costs
from sim.model.cpython.gil import SWITCH_INTERVAL
from sim.model.simulation import predict
from sim.run import Request

#: One request computes for all of the run, and short ones come meanwhile; a time that is no
#: multiple of the switch interval apart.
LONG = TraceRow(0.0, 0.0, 4.0)
SHORT = tuple(TraceRow(0.2 + 0.0873 * number, 0.0, 0.0) for number in range(30))


def short_requests(
    workers: int,
    connection: Connection = "new",
    *,
    long: bool,
    short: tuple[TraceRow, ...] = SHORT,
) -> list[Request]:
    """The short requests, in several variants of the races for the GIL."""
    server = Server(workers=workers, threads=4, worker_class="gthread", preload_app=True)
    trace = (LONG, *short) if long else short
    traffic = Traffic(arrivals="trace", trace=trace, connection=connection)
    # How long a worker's first request takes is another matter.
    costs = replace(Costs(), first_request=0.0)
    experiment = Experiment(server, traffic=traffic, costs=costs)
    runs = [predict(experiment, 0, variant) for variant in range(5)]
    return [request for run in runs for request in list(run.requests)[long:]]


def switches(times: Iterable[float]) -> list[int]:
    """How often each has waited for the switch interval."""
    return [round((time - 0.0015) / SWITCH_INTERVAL) for time in times]


@pytest.mark.parametrize(
    ("connection", "measured"),
    # Means over 38 to 42 requests of the real server, two or three times each.
    [("new", [2.8, 2.5, 2.5]), ("keepalive", [1.7, 1.6])],
)
def test_how_often_a_request_waits_for_the_gil_behind_a_thread_that_computes(
    connection: Connection, measured: list[float]
) -> None:
    requests = short_requests(1, connection, long=True)
    before = switches(request.wait for request in requests)
    assert min(before) == 1
    assert mean(before) == pytest.approx(mean(measured), abs=0.4)
    # And once more at the response's first send.
    after = switches(request.finished - request.started for request in requests)
    assert set(after) == {0, 1}
    assert mean(after) == pytest.approx(36 / 38, abs=0.05)


@pytest.mark.parametrize(
    ("connection", "before", "after"),
    # Means over 30 requests of the real server, three times each.
    [
        ("new", [2.23, 2.1, 1.77], [0.5, 0.27, 0.13]),
        ("keepalive", [1.4, 1.23, 1.13], [0.23, 0, 0.03]),
    ],
)
def test_it_waits_less_often_where_another_worker_computes_on_the_other_core(
    connection: Connection, before: list[float], after: list[float]
) -> None:
    also_long = TraceRow(0.05, 0.0, 4.0)
    requests = short_requests(2, connection, long=True, short=(also_long, *SHORT))
    them = [request for request in requests if request.cpu == 0]
    waits = switches(request.wait for request in them)
    assert mean(waits) == pytest.approx(mean(before), abs=0.4)
    sends = switches(request.finished - request.started for request in them)
    assert mean(sends) == pytest.approx(mean(after), abs=0.3)


def test_a_request_that_comes_back_from_its_io_waits_for_the_gil_too() -> None:
    # The real server: 10.8 to 11.0 ms longer than asked, of 38 and of 42 requests.
    sleeping = tuple(replace(row, io_s=0.005) for row in SHORT)
    requests = short_requests(1, long=True, short=sleeping)
    over = switches(request.finished - request.started - request.io for request in requests)
    assert mean(over) == pytest.approx(1 + 36 / 38, abs=0.05)


def test_nobody_waits_for_the_gil_of_an_idle_worker() -> None:
    requests = short_requests(1, long=False)
    assert max(request.latency for request in requests) < SWITCH_INTERVAL


def test_a_worker_that_has_its_gil_accepts_where_another_waits_for_its_own() -> None:
    # The real server: 38 of 38, nearly all within 2.5 ms of their arrival.
    requests = short_requests(2, long=True)
    assert max(request.wait for request in requests) < SWITCH_INTERVAL
    # Without the long one, both accept.
    assert {request.worker for request in short_requests(2, long=False)} == {1, 2}
